use std::time::{Duration, Instant};

use super::*;

/// Values of all kinds from a seed (xorshift64), shared by the tests that need documents nobody thought of.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn text(&mut self) -> String {
        let alphabet = [
            'a', 'Z', '"', '\\', '/', '\n', '\t', '\r', '\u{8}', '\u{c}', '\0', '\u{1f}', '\u{7f}', 'é', '\u{2028}',
            '😀',
        ];
        (0..self.below(9)).map(|_| alphabet[self.below(16) as usize]).collect()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => self.next().into(),
            3 => (self.next() as i64).into(),
            4 => (self.below(100) as i64 - 50).into(),
            5 | 6 => self.text().into(),
            7 => (0..self.below(6)).map(|_| self.value(depth - 1)).collect::<Vec<Value>>().into(),
            _ => {
                let mut object = object([]);
                for _ in 0..self.below(30) {
                    object.set(self.text().leak(), self.value(depth - 1));
                }
                object
            }
        }
    }
}

/// The same value as the reference implementation has it. Numbers are integers here.
fn reference(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(Number::Int(number)) => (*number).into(),
        Value::Number(Number::Big(number)) => (*number).into(),
        Value::Number(Number::Raw(text)) => panic!("{text} is not an integer"),
        Value::String(text) => (*text).into(),
        Value::Array(elements) => elements.iter().map(reference).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| ((*name).to_string(), reference(value))).collect(),
    }
}

fn what(text: &str) -> String {
    parse(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn random_documents_come_back_from_both_texts() {
    let mut random = Random(0x5eed);
    for _ in 0..3000 {
        let value = random.value(4);
        assert_eq!(parse(value.to_compact().as_bytes()), Ok(value.clone()));
        assert_eq!(parse(value.to_pretty().as_bytes()), Ok(value));
    }
}

#[test]
fn random_documents_agree_with_serde_json_in_both_directions() {
    let mut random = Random(0xfeed);
    for _ in 0..3000 {
        let value = random.value(4);
        let theirs = reference(&value);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&value.to_compact()).unwrap(), theirs);
        // Once parsed from their text the members have their order, so the texts can be compared byte for byte,
        // apart from \b and \f, which we write as \u0008 and \u000c.
        let text = serde_json::to_string_pretty(&theirs).unwrap();
        let ours = parse(text.as_bytes()).unwrap();
        if !text.contains("\\b") && !text.contains("\\f") {
            assert_eq!(ours.to_pretty(), text);
            assert_eq!(ours.to_compact(), theirs.to_string());
        }
        assert_eq!(reference(&ours), theirs);
    }
}

#[test]
fn damaged_documents_are_accepted_or_refused_as_serde_json_does() {
    let mut random = Random(0xdead);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20000 {
        let mut bytes = random.value(2).to_compact().into_bytes();
        for _ in 0..=random.below(2) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = b"\"\\,:[]{}0-.eE+u 1\xff"[random.below(18) as usize];
        }
        let ours = parse(&bytes);
        match serde_json::from_slice::<serde_json::Value>(&bytes) {
            // serde_json keeps the last of two equal names and refuses what overflows a double; we do the opposite.
            Ok(_) if matches!(ours, Err(error) if error.what.text().contains("twice")) => {}
            Err(error) if error.to_string().contains("out of range") => {}
            theirs => assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", String::from_utf8_lossy(&bytes)),
        }
        *(if ours.is_ok() { &mut accepted } else { &mut refused }) += 1;
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

/// What RFC 8259 allows.
const GOOD: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1.5",
    "1E400",
    "1e+2",
    "1.0e-2",
    "123456789012345678901234567890",
    "\"\"",
    "\"\u{7f}\"",
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u0000""#,
    r#""\uD83d\ude00""#,
    "\"\u{2028}\"",
    " [ ] ",
    "{\"\":0}",
    "\t\r\n true ",
    "[1\n]",
    "[null, 1, \"1\", {}, [[], [ ]]]",
    "-0.1",
    "0e1",
    "0E-0",
    "20e1",
    "123.456e78",
    "-0.00000000000000000000000000000000000000000000000000000000000000000000000000000001",
    "{\"a\":[],\"b\":{}}",
    "{\n\"a\"\n:\n1\n,\n\"b\":2}",
    r#"{"\u0000":"a/*b*/c//d#"}"#,
    r#""\\u0000 \\\\ \\n""#,
    r#""\u0061\u30AF\u12ab""#,
    r#""\ud801\udc37\uD83F\uDFFE\udbff\udfff""#,
    r#""\uFFFE\uFDD0\u200B\u0022\u005c""#,
    "\"\u{10ffff}\u{ffff}\u{1bfff}€\u{7f}\"",
];

/// What it forbids.
const BAD: &[&str] = &[
    "",
    " ",
    "nul",
    "truex",
    "01",
    "-",
    "-01",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x1",
    "NaN",
    "Infinity",
    "'a'",
    "\"",
    "\"\\\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u+123\"",
    "\"\t\"",
    "\"\0\"",
    r#""\ud800""#,
    r#""\udc00""#,
    r#""\ud800\u0041""#,
    r#""\ud800\n""#,
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "[1]]",
    "1 2",
    "/**/1",
    "\u{feff}1",
    "\u{a0}1",
    // What stands where no value may.
    "abc",
    "*",
    "<x>",
    "True",
    "[tru]",
    "[x",
    "[fals",
    "[ false, nul",
    "[\"a\", truth]",
    "[<null>]",
    "[\\n]",
    "[\\u0020\"a\"]",
    "[\u{c}]",
    "[\u{2060}]",
    "[\0]",
    "[1:2]",
    "[\"\": 1]",
    "[3[4]]",
    "[,]",
    "[1,,2]",
    "[1,,]",
    "[   , \"\"]",
    "[\"a\",\n4\n,1,",
    "[{}",
    "[{",
    "[\"a",
    "[\"a\"",
    "{]",
    "{,",
    "{[",
    "{\"a",
    "{'a':0}",
    "{\"a\":'b'}",
    "{:1}",
    "{[: 1}",
    "{null:1}",
    "{\"a\", null}",
    "{\"a\"::1}",
    "{\"a\" b}",
    "{\"a\":1 2}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\":1,,,}",
    "{\"a\":1,\"b\"}",
    "{\"a\":/*b*/1}",
    // What follows a value.
    "1]",
    "]",
    "[][]",
    "[1]x",
    "[1],",
    "{}}",
    "{}#",
    "{}/",
    "{}//",
    "{}/**/",
    "{\"a\":1} \"x\"",
    "\"\"x",
    "2@",
    "1\0",
    // Numbers.
    "[-]",
    "[- 1]",
    "[-x]",
    "[-.1]",
    "[-1.]",
    "[-1x]",
    "[-012]",
    "[-NaN]",
    "[-Infinity]",
    "[+Inf]",
    "[++1]",
    "[.-1]",
    "[.2e-3]",
    "[0.1.2]",
    "[0.3e]",
    "[0E+]",
    "[0e+-1]",
    "[1.0e-]",
    "[2.e3]",
    "[1eE2]",
    "[1ea]",
    "[1.2a-3]",
    "[1.8H-308]",
    "[1+2]",
    "[1 000.0]",
    "[0x42]",
    "[１]",
    // Strings.
    "\"\n\"",
    "\"\u{b}\"",
    "[\"a\0a\"]",
    "[\"\\\0\"]",
    "[\"\\\t\"]",
    "[\"\\🌀\"]",
    "[\"\\\\\\\"]",
    r#"["\a"]"#,
    r#"["\U0041"]"#,
    r#"["\u00A"]"#,
    r#"["\uqqqq"]"#,
    r#"["\uD800\"]"#,
    r#"["\uD800\u"]"#,
    r#"["\uD800\u1x"]"#,
    r#"["\uD834\uDd"]"#,
    r#"["\uD800\uD800\x"]"#,
];

#[test]
fn what_the_rfc_allows_is_accepted_and_what_it_forbids_is_refused() {
    for text in GOOD {
        parse(text.as_bytes()).expect(text);
    }
    for text in BAD {
        parse(text.as_bytes()).expect_err(text);
        serde_json::from_str::<serde_json::Value>(text).expect_err(text);
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"[1\xe5]",
        b"[1e\xe5]",
        b"[\"\\\xe5\"]",
        b"[\"\\u\xe5\"]",
        b"{\"\xb9\":0}",
        b"\xef\xbb{}",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe2\x82\"",
        b"\xff",
    ] {
        parse(bytes).expect_err("not UTF-8");
    }
}

#[test]
fn numbers_keep_their_value_or_their_text() {
    let number = |text: &str| match parse(text.as_bytes()) {
        Ok(Value::Number(number)) => number,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(number("-9223372036854775808"), Number::Int(i64::MIN));
    assert_eq!(number("9223372036854775807"), Number::Int(i64::MAX));
    assert_eq!(number("9223372036854775808"), Number::Big(1 << 63));
    assert_eq!(number("18446744073709551615"), Number::Big(u64::MAX));
    for text in ["18446744073709551616", "-9223372036854775809", "-0", "1.50", "1e2", "1E999999"] {
        assert_eq!(number(text), Number::Raw(text));
        assert_eq!(Value::Number(number(text)).to_compact(), text);
    }
    assert_eq!(Value::from(7_u64), Value::from(7_i64));
    assert_eq!((Value::from(-1_i64).as_u64(), Value::from(u64::MAX).as_i64()), (None, None));
}

#[test]
fn errors_say_what_and_where() {
    assert_eq!(what("[1, x]"), "expected a value at byte 4");
    assert_eq!(what("{\"a\" 1}"), "expected a colon at byte 5");
    assert_eq!(what("[1 2]"), "expected a comma or the closing bracket at byte 3");
    assert_eq!(what("[\"\\ud800\"]"), "expected \\u and four hexadecimal digits at byte 2");
    assert_eq!(what("[{\"a\":1,\"a\":1}]"), "a name occurs twice in the object at byte 1");
    assert_eq!(what("1 1"), "expected the end at byte 2");
}

#[test]
fn a_name_that_occurs_twice_is_found_in_objects_of_any_size() {
    let mut random = Random(7);
    for members in 2..200 {
        let mut names: Vec<String> = (0..members).map(|number| format!("\"k{number}\":0")).collect();
        for at in (1..names.len()).rev() {
            names.swap(at, random.below(at as u64 + 1) as usize);
        }
        let distinct = format!("{{{}}}", names.join(","));
        assert_eq!(parse(distinct.as_bytes()).unwrap().as_object().unwrap().len(), members);
        let (from, to) = (random.below(members as u64) as usize, random.below(members as u64) as usize);
        if from != to {
            names[to] = names[from].clone();
            assert!(what(&format!("{{{}}}", names.join(","))).contains("twice"), "{members} members");
        }
    }
}

#[test]
fn nesting_is_limited_by_depth_and_not_by_count() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(what(&nested(MAX_DEPTH + 1)), format!("nested too deep at byte {MAX_DEPTH}"));
    assert!(parse(format!("[{}[]]", "[[]],{},".repeat(500)).as_bytes()).is_ok());
    assert!(parse("{\"a\":".repeat(1 << 18).as_bytes()).is_err());
}

#[test]
fn a_hostile_megabyte_takes_no_longer_than_an_honest_one() {
    let names: Vec<String> = (0..80_000).map(|number| format!("\"{number:08}\":0")).collect();
    let sorted = format!("{{{}}}", names.join(","));
    let prefix = "x".repeat(1000);
    let long: Vec<String> = (0..1000).map(|number| format!("\"{prefix}{number}\":0")).collect();
    let long = format!("{{{}}}", long.join(","));
    let escapes = format!("\"{}\"", "\\u0041".repeat(170_000));
    for text in
        [sorted, long, escapes, "[".repeat(1 << 20), format!("[{}0]", "0,".repeat(1 << 19)), "1".repeat(1 << 20)]
    {
        let start = Instant::now();
        let _ = parse(text.as_bytes());
        // Milliseconds when optimised; the bound leaves room for a debug build on a busy machine, but none for quadratic work.
        assert!(start.elapsed() < Duration::from_secs(5), "{}...: {:?}", &text[..20], start.elapsed());
    }
}

#[test]
fn objects_are_built_read_and_changed() {
    let mut value = object([("name", "web".into()), ("pid", 7_u32.into()), ("up", true.into())]);
    value.set("pid", 8_i32.into());
    value.set("ports", vec![Value::from(80_i64), String::from("443").into()].into());
    assert_eq!(value.to_compact(), r#"{"name":"web","pid":8,"up":true,"ports":[80,"443"]}"#);
    assert_eq!(value.to_compact(), value.to_string());
    assert_eq!(value.get("name").and_then(Value::as_str), Some("web"));
    assert_eq!(value.get("up").and_then(Value::as_bool), Some(true));
    assert_eq!(value.get("ports").and_then(Value::as_array).map(<[_]>::len), Some(2));
    assert_eq!(value.get("none"), None);
    let outer = object([("outer", value)]);
    assert_eq!(outer.at(&["outer", "pid"]).and_then(Value::as_i64), Some(8));
    assert_eq!(outer.at(&["outer", "pid", "deeper"]), None);
}

#[test]
fn the_pretty_text_is_indented_by_two_and_keeps_empty_brackets_together() {
    let value = object([("a", vec![Value::from(1_i64), object([])].into()), ("b", Value::array())]);
    assert_eq!(value.to_pretty(), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
    assert_eq!(format!("{value:#}"), value.to_pretty());
}

#[test]
fn strings_are_written_alone_with_what_must_be_escaped() {
    let mut out = String::new();
    write_string(&mut out, "\"a\\\n\r\t\u{1}\u{1f}\u{7f}/é\u{2028}😀").unwrap();
    assert_eq!(out, "\"\\\"a\\\\\\n\\r\\t\\u0001\\u001f\u{7f}/é\u{2028}😀\"");
}

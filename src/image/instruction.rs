//! Dockerfile instructions that change an image's configuration, as `commit --change` takes them.
//!
//! # Source
//! The Dockerfile reference; the OCI image specification 1.1, `config.md`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::json::{self, Value, object};
use crate::base::signal;
use crate::base::text::{Cut, decimal_u32};

/// What to do with what follows an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A JSON array of words, or a line for a shell.
    Command,
    /// `NAME=VALUE`s, or a name and its value with a space between.
    Pairs,
    /// Ports, or a JSON array or words: keys of an object.
    Keys,
    /// One text.
    Text,
}

/// The instructions: name, member of the configuration, what follows.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Form)] = &[
    ("CMD",        "Cmd",          Form::Command),
    ("ENTRYPOINT", "Entrypoint",   Form::Command),
    ("ENV",        "Env",          Form::Pairs),
    ("LABEL",      "Labels",       Form::Pairs),
    ("EXPOSE",     "ExposedPorts", Form::Keys),
    ("VOLUME",     "Volumes",      Form::Keys),
    ("WORKDIR",    "WorkingDir",   Form::Text),
    ("USER",       "User",         Form::Text),
    ("STOPSIGNAL", "StopSignal",   Form::Text),
];

/// What is accepted.
pub const ACCEPTED: &str =
    "CMD, ENTRYPOINT, ENV, LABEL, EXPOSE, VOLUME, WORKDIR, USER or STOPSIGNAL as in a Dockerfile";

/// Carries out an instruction on a configuration (the member `config` of an image's); whether it was `CMD`.
///
/// # Errors
/// Why it is none.
pub fn apply(config: &mut Value, text: &str) -> Result<bool, &'static str> {
    let text = text.trim_ascii();
    let end = text.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_ascii();
    let found = TABLE.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    let &(name, member, form) = found.ok_or("no such instruction")?;
    if rest.is_empty() {
        return Err("the instruction lacks its arguments");
    }
    let old = config.get(member).cloned().unwrap_or_default();
    let words = |config: &Value| {
        split(rest, config).ok_or("a quote or brace that does not end, or a form of $ that is not known")
    };
    let new = match form {
        Form::Command => match array(rest) {
            Some(array) => array,
            None => ["/bin/sh", "-c", rest].map(Value::from).to_vec().into(),
        },
        Form::Pairs => pairs(old, name == "ENV", &words(config)?)?,
        Form::Keys => {
            let keys = match array(rest).filter(|_| name == "VOLUME") {
                Some(array) => {
                    array.as_array().unwrap_or_default().iter().filter_map(Value::as_str).map(String::from).collect()
                }
                None => words(config)?,
            };
            let mut new = if old.as_object().is_some() { old } else { object([]) };
            for key in keys {
                if name == "VOLUME" {
                    new.set(Some(&*key).filter(|key| !key.is_empty()).ok_or("a volume without a path")?, object([]));
                } else {
                    expose(&mut new, &key).ok_or("no port: 1 to 65535, a range of them, with /tcp, /udp or /sctp")?;
                }
            }
            new
        }
        Form::Text => {
            let text = words(config)?.join(" ");
            match name {
                "STOPSIGNAL" if signal::parse(&text).is_none() => return Err("no such signal"),
                "USER" if text.has(b' ') => return Err("a user's name without spaces is needed"),
                // Relative to the one before.
                "WORKDIR" if !text.starts_with('/') => {
                    format!("{}/{text}", old.as_str().unwrap_or_default().trim_end_matches('/')).into()
                }
                _ => text.into(),
            }
        }
    };
    config.set(member, new);
    Ok(name == "CMD")
}

/// A JSON array of strings.
fn array(text: &str) -> Option<Value> {
    let value = json::parse(text.as_bytes()).ok()?;
    let all = value.as_array()?.iter().all(|word| word.as_str().is_some());
    all.then_some(value)
}

fn pairs(old: Value, list: bool, words: &[String]) -> Result<Value, &'static str> {
    let mut new = if old == Value::Null && !list { object([]) } else { old };
    let single = words.first().is_some_and(|word| !word.has(b'='));
    for word in if single { &words[..1] } else { words } {
        let (name, value) = match word.cut(b'=') {
            // The old form: all that follows the name is the value.
            None if single => (
                word.as_str(),
                words.get(1..).filter(|words| !words.is_empty()).ok_or("a name without a value")?.join(" "),
            ),
            None => return Err("NAME=VALUE is needed, with quotes around spaces"),
            Some((name, value)) => (name, value.to_string()),
        };
        if name.is_empty() {
            return Err("a value without a name");
        }
        if list {
            let line = Value::from(format!("{name}={value}"));
            let mut lines = new.as_array().unwrap_or_default().to_vec();
            let known =
                |line: &Value| line.as_str().and_then(|line| line.cut(b'=')).is_some_and(|(known, _)| known == name);
            match lines.iter_mut().find(|line| known(line)) {
                Some(old) => *old = line,
                None => lines.push(line),
            }
            new = lines.into();
        } else {
            new.set(name, value.into());
        }
    }
    Ok(new)
}

/// Adds the ports of `80`, `80/udp` or `8000-8010/tcp`.
fn expose(ports: &mut Value, word: &str) -> Option<()> {
    let (numbers, protocol) = word.cut(b'/').unwrap_or((word, "tcp"));
    let (first, last) = numbers.cut(b'-').unwrap_or((numbers, numbers));
    let (first, last) = (decimal_u32(first)?, decimal_u32(last)?);
    if first == 0 || first > last || last > 65_535 || !matches!(protocol, "tcp" | "udp" | "sctp") {
        return None;
    }
    (first..=last).for_each(|port| ports.set(&format!("{port}/{protocol}"), object([])));
    Some(())
}

/// Splits a line into words: quotes and backslashes as in a shell, `$NAME` and `${NAME}` for the configuration's variables.
fn split(line: &str, config: &Value) -> Option<Vec<String>> {
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let (mut quote, mut rest) = (None, line);
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if quote.is_none() && character.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        let text = word.get_or_insert_default();
        match character {
            '\'' | '"' if quote == Some(character) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(character),
            '$' if quote != Some('\'') => {
                let braces = rest.strip_prefix('{');
                let start = braces.unwrap_or(rest);
                let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                let end = start.bytes().position(|byte| !is_part(byte)).unwrap_or(start.len());
                let (name, behind) = start.split_at(end);
                rest = if braces.is_some() { behind.strip_prefix('}')? } else { behind };
                if name.is_empty() {
                    text.push('$');
                }
                text.push_str(variable(config, name));
            }
            '\\' if quote != Some('\'') => {
                let next = rest.chars().next()?;
                rest = &rest[next.len_utf8()..];
                // Inside of quotes only what means something there.
                if quote.is_some() && !matches!(next, '"' | '\\' | '$') {
                    text.push('\\');
                }
                text.push(next);
            }
            _ => text.push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A variable of the configuration's environment. In a configuration that has none at all, which is how instructions are
/// looked at before there is an image, each is `1`: that fits wherever a value can.
fn variable<'v>(config: &'v Value, name: &str) -> &'v str {
    match config.get("Env").and_then(Value::as_array) {
        Some(lines) => {
            let values = lines.iter().filter_map(|line| line.as_str()?.strip_prefix(name)?.strip_prefix('='));
            values.last().unwrap_or_default()
        }
        None => "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration after these instructions.
    fn after(instructions: &[&str]) -> String {
        let mut config = object([("Env", Value::from(Vec::new()))]);
        for instruction in instructions {
            apply(&mut config, instruction).unwrap_or_else(|why| panic!("{instruction}: {why}"));
        }
        config.to_compact()
    }

    #[test]
    fn commands_are_arrays_or_lines_for_a_shell() {
        assert_eq!(
            after(&[r#"CMD ["a", "b c"]"#, "entrypoint exec [ -x a ]"]),
            r#"{"Env":[],"Cmd":["a","b c"],"Entrypoint":["/bin/sh","-c","exec [ -x a ]"]}"#
        );
        assert_eq!(after(&["ENTRYPOINT []"]), r#"{"Env":[],"Entrypoint":[]}"#);
        assert_eq!(apply(&mut Value::Null, "cmd x"), Ok(true));
        assert_eq!(apply(&mut Value::Null, "USER x"), Ok(false));
    }

    #[test]
    fn variables_are_replaced_added_and_used() {
        assert_eq!(
            after(&["ENV A=1 B=\"two words\" C='$A'", "ENV A=2", "ENV PATH /bin:$A:${B}/x", "WORKDIR $A"]),
            r#"{"Env":["A=2","B=two words","C=$A","PATH=/bin:2:two words/x"],"WorkingDir":"/2"}"#
        );
    }

    #[test]
    fn the_other_instructions_set_what_docker_sets() {
        assert_eq!(
            after(&[
                "LABEL a=b c=\"d e\"",
                "LABEL old form",
                "EXPOSE 80 53/udp 8000-8001",
                "VOLUME /a /b",
                "VOLUME [\"/c d\"]"
            ]),
            concat!(
                r#"{"Env":[],"Labels":{"a":"b","c":"d e","old":"form"},"#,
                r#""ExposedPorts":{"80/tcp":{},"53/udp":{},"8000/tcp":{},"8001/tcp":{}},"#,
                r#""Volumes":{"/a":{},"/b":{},"/c d":{}}}"#
            )
        );
        assert_eq!(
            after(&["WORKDIR /a/", "WORKDIR b", "USER 1:2", "STOPSIGNAL SIGINT"]),
            r#"{"Env":[],"WorkingDir":"/a/b","User":"1:2","StopSignal":"SIGINT"}"#
        );
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = |line: &str| split(line, &object([("Env", vec![Value::from("A=x y")].into())]));
        assert_eq!(
            words(r#" a\ b  "c \d\"" '\' $A$A ${A}b "$B" 5$ "#).unwrap(),
            ["a b", r#"c \d""#, "\\", "x yx y", "x yb", "", "5$"]
        );
        for bad in ["'", "\"a", "a\\", "${A", "${A:-b}"] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        for bad in [
            "",
            "RUN true",
            "CMD",
            "ENV",
            "ENV A",
            "ENV =1",
            "ENV A=1 B",
            "ENV A='",
            "LABEL x",
            "EXPOSE",
            "EXPOSE x",
            "EXPOSE 0",
            "EXPOSE 70000",
            "EXPOSE 2-1",
            "EXPOSE 80/icmp",
            "VOLUME \"\"",
            "STOPSIGNAL SIGNOT",
            "USER a b",
            "WORKDIR",
        ] {
            assert!(apply(&mut Value::Null, bad).is_err(), "{bad}");
        }
    }
}

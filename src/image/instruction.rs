//! Dockerfile instructions that change an image's configuration, as `commit --change` takes them.
//!
//! # Source
//! The Dockerfile reference; the OCI image specification 1.1, `config.md`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::json::{self, Value, object};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::signal;
use crate::base::text::{self, Cut, decimal_u32};

/// What the instructions are called, and the members of the configuration that they change.
const NAMES: &str = "CMD ENTRYPOINT VOLUME EXPOSE ENV LABEL WORKDIR USER STOPSIGNAL";
const MEMBERS: &str = "Cmd Entrypoint Volumes ExposedPorts Env Labels WorkingDir User StopSignal ";
const CMD: usize = 0;
const ENTRYPOINT: usize = 1;
const VOLUME: usize = 2;
const EXPOSE: usize = 3;
const ENV: usize = 4;
const LABEL: usize = 5;
const WORKDIR: usize = 6;
const USER: usize = 7;
const STOPSIGNAL: usize = 8;

/// What is accepted.
pub const ACCEPTED: &str =
    "CMD, ENTRYPOINT, ENV, LABEL, EXPOSE, VOLUME, WORKDIR, USER or STOPSIGNAL as in a Dockerfile";

/// Carries out instructions on a configuration (the member `config` of an image's), in order.
///
/// # Errors
/// Why one is none.
pub fn apply(config: &mut Value, lines: &[&str]) -> Result<(), Phrase> {
    let mut has_command = false;
    for line in lines {
        let name = apply_one(config, line)?;
        has_command |= name == CMD;
        if name == ENTRYPOINT && !has_command {
            // As in a Dockerfile: what followed the old one is not meant for the new one.
            config.set("Cmd", Value::Null);
        }
    }
    Ok(())
}

/// Carries out one; which it is.
#[inline(never)]
fn apply_one(config: &mut Value, line: &str) -> Result<usize, Phrase> {
    let line = line.trim_ascii();
    let word = line.words().next().unwrap_or_default();
    let rest = line[word.len()..].trim_ascii_start();
    let Some(name) = text::place(NAMES, &word.to_ascii_uppercase()) else {
        return Err(phrase!("no such instruction"));
    };
    if rest.is_empty() {
        return Err(phrase!("the instruction lacks its arguments"));
    }
    let mut words = Vec::new();
    if name > VOLUME || !array(rest, &mut words) {
        if name <= ENTRYPOINT {
            words = ["/bin/sh", "-c", keep::copy(rest)].into();
        } else if !split(rest, config, &mut words) {
            return Err(phrase!("a quote or brace that does not end, or a form of $ that is not known"));
        }
    }
    let old = config.member(text::word(MEMBERS, name));
    match name {
        CMD | ENTRYPOINT => *old = Value::texts(&words, ""),
        ENV | LABEL => pairs(old, name == ENV, &mut words)?,
        VOLUME | EXPOSE => {
            for word in words {
                if name == EXPOSE {
                    if !expose(old, word) {
                        return Err(phrase!("no port: 1 to 65535, a range of them, with /tcp, /udp or /sctp"));
                    }
                } else if word.is_empty() {
                    return Err(phrase!("a volume without a path"));
                } else {
                    old.set(word, object([]));
                }
            }
        }
        _ => {
            let mut text: &'static str = words.join(" ").leak();
            if name == STOPSIGNAL && signal::parse(text).is_none() {
                return Err(phrase!("no such signal"));
            }
            if name == USER && text.has(b' ') {
                return Err(phrase!("a user's name without spaces is needed"));
            }
            if name == WORKDIR && !text.starts_with('/') {
                // Relative to the one before.
                text = join!("{}/{}", old.as_str().unwrap_or_default().trim_end_matches('/'), text);
            }
            *old = text.into();
        }
    }
    Ok(name)
}

/// A JSON array of strings, which Docker calls the exec form; whether it is one.
fn array(text: &str, words: &mut Vec<&'static str>) -> bool {
    let Ok(Value::Array(list)) = json::parse(text.as_bytes()) else { return false };
    for word in &list {
        let Some(word) = word.as_str() else { return false };
        words.push(word);
    }
    true
}

/// Sets members of an object, or in a list of `NAME=VALUE`.
#[inline(never)]
fn pairs(old: &mut Value, is_list: bool, words: &mut Vec<&'static str>) -> Result<(), Phrase> {
    if let [name, value @ ..] = &**words
        && !name.has(b'=')
    {
        // The old form: all that follows the name is the value.
        if value.is_empty() {
            return Err(phrase!("a name without a value"));
        }
        *words = [join!("{}={}", name, value.join(" "))].into();
    }
    for &mut word in words {
        let Some((name, value)) = word.cut(b'=') else {
            return Err(phrase!("NAME=VALUE is needed, with quotes around spaces"));
        };
        if name.is_empty() {
            return Err(phrase!("a value without a name"));
        }
        if !is_list {
            old.set(name, value.into());
            continue;
        }
        if !matches!(old, Value::Array(_)) {
            *old = Value::array();
        }
        let Value::Array(lines) = &mut *old else { continue };
        let head = &word[..=name.len()];
        match lines.iter().position(|line| line.as_str().is_some_and(|line| line.starts_with(head))) {
            Some(at) => lines[at] = word.into(),
            None => lines.push(word.into()),
        }
    }
    Ok(())
}

/// Adds the ports of `80`, `80/udp` or `8000-8010/tcp`; whether it is something like that.
#[inline(never)]
fn expose(ports: &mut Value, word: &str) -> bool {
    let (numbers, protocol) = word.cut(b'/').unwrap_or((word, "tcp"));
    let (first, last) = numbers.cut(b'-').unwrap_or((numbers, numbers));
    let (Some(first @ 1..), Some(last @ ..=65_535)) = (decimal_u32(first), decimal_u32(last)) else { return false };
    if first > last || text::place("tcp udp sctp", protocol).is_none() {
        return false;
    }
    if !matches!(ports, Value::Object(_)) {
        *ports = object([]);
    }
    let Value::Object(members) = ports else { return false };
    // A range may be long, and has nothing twice in itself.
    let before = members.len();
    for port in first..=last {
        let name = join!("{}/{}", port, protocol);
        if !members[..before].iter().any(|(known, _)| *known == name) {
            members.push((name, object([])));
        }
    }
    true
}

/// Splits a line into words: quotes and backslashes as in a shell, `$NAME` and `${NAME}` for the configuration's variables.
/// Whether all that begins in it ends.
#[inline(never)]
fn split(line: &str, config: &Value, words: &mut Vec<&'static str>) -> bool {
    words.clear();
    // None between words.
    let mut word: Option<String> = None;
    let (mut quote, mut rest) = (None, line);
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if quote.is_none() && character.is_ascii_whitespace() {
            words.extend(word.take().map(String::leak).map(|word| &*word));
            continue;
        }
        let text = word.get_or_insert_default();
        match character {
            '\'' | '"' if quote == Some(character) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(character),
            '$' if quote != Some('\'') => {
                let start = rest.strip_prefix('{').unwrap_or(rest);
                let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                let end = start.bytes().position(|byte| !is_part(byte)).unwrap_or(start.len());
                let (name, mut behind) = start.split_at(end);
                if start.len() < rest.len() {
                    let Some(closed) = behind.strip_prefix('}') else { return false };
                    behind = closed;
                }
                rest = behind;
                if name.is_empty() {
                    text.push('$');
                }
                text.push_str(variable(config, name));
            }
            '\\' if quote != Some('\'') => {
                let Some(next) = rest.chars().next() else { return false };
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
    words.extend(word.map(String::leak).map(|word| &*word));
    quote.is_none()
}

/// A variable of the configuration's environment. In a configuration that has none at all, which is how instructions are
/// looked at before there is an image, each is `1`: that fits wherever a value can.
fn variable<'v>(config: &'v Value, name: &str) -> &'v str {
    match config.get("Env").and_then(Value::as_array) {
        Some(lines) => {
            let mut values = lines.iter().filter_map(|line| line.as_str()?.strip_prefix(name)?.strip_prefix('='));
            values.next_back().unwrap_or_default()
        }
        None => "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The configuration after these instructions.
    fn after(instructions: &[&str]) -> String {
        let mut config = object([("Env", Value::array())]);
        apply(&mut config, instructions).unwrap_or_else(|why| panic!("{instructions:?}: {why}"));
        config.to_compact()
    }

    #[test]
    fn commands_are_arrays_or_lines_for_a_shell() {
        assert_eq!(
            after(&[r#"CMD ["a", "b c"]"#, "entrypoint exec [ -x a ]"]),
            r#"{"Env":[],"Cmd":["a","b c"],"Entrypoint":["/bin/sh","-c","exec [ -x a ]"]}"#
        );
        assert_eq!(after(&["CMD a b", "ENTRYPOINT []"]), r#"{"Env":[],"Cmd":["/bin/sh","-c","a b"],"Entrypoint":[]}"#);
        assert_eq!(after(&["ENTRYPOINT [\"a\"]"]), r#"{"Env":[],"Entrypoint":["a"],"Cmd":null}"#);
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
    fn all_ports_there_are_take_no_longer_than_one() {
        let mut config = Value::Null;
        apply(&mut config, &["EXPOSE 1-65535 80", "EXPOSE 443-444 443/udp"]).unwrap();
        let ports = config.get("ExposedPorts").and_then(Value::as_object).unwrap();
        assert_eq!((ports.len(), ports[0].0, ports[65_535].0), (65_536, "1/tcp", "443/udp"));
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = |line: &str| {
            let mut words = Vec::new();
            split(line, &object([("Env", vec![Value::from("A=x y")].into())]), &mut words).then_some(words)
        };
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
            assert!(apply(&mut Value::Null, &[bad]).is_err(), "{bad}");
        }
    }
}

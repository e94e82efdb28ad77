//! The text of `--env-file` and `--label-file`. Reading the files is for the floor above.

use alloc::vec::Vec;

use super::Setting;
use super::process::Variable;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::cli::parse::invalid;

/// Reads the content of `--env-file path`: `NAME=VALUE` lines, `NAME` to inherit, `#` for comments. Nothing is unquoted or
/// expanded, and spaces behind the value belong to it, as docker does it.
///
/// # Errors
/// A line without a name, or with white space in it.
pub fn parse_env_file<'a>(path: &[u8], content: &'a [u8]) -> Result<Vec<Variable<'a>>> {
    let mut variables = Vec::new();
    lines(content, &mut |number, line| {
        let variable = Variable::parse(line).filter(|variable| !variable.name.iter().any(u8::is_ascii_whitespace));
        variables.push(variable.ok_or_else(|| refuse(path, "--env-file", number, line))?);
        Ok(())
    })?;
    Ok(variables)
}

/// Reads the content of `--label-file path`: `NAME=VALUE` lines, `NAME` for an empty value, `#` for comments.
///
/// # Errors
/// A line without a name, with white space in the name, or that is not UTF-8.
pub fn parse_label_file<'a>(path: &[u8], content: &'a [u8]) -> Result<Vec<Setting<'a>>> {
    let mut labels = Vec::new();
    lines(content, &mut |number, line| {
        let label = core::str::from_utf8(line).ok().and_then(super::label);
        let label = label.filter(|label| !label.name.bytes().any(|byte| byte.is_ascii_whitespace()));
        labels.push(label.ok_or_else(|| refuse(path, "--label-file", number, line))?);
        Ok(())
    })?;
    Ok(labels)
}

/// Hands over each line that is neither empty nor a comment, with its number and without leading white space.
fn lines<'a>(content: &'a [u8], line: &mut dyn FnMut(usize, &'a [u8]) -> Result<()>) -> Result<()> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    for (index, text) in content.split(|&byte| byte == b'\n').enumerate() {
        let text = text.strip_suffix(b"\r").unwrap_or(text).trim_ascii_start();
        if !text.is_empty() && text[0] != b'#' {
            line(index + 1, text)?;
        }
    }
    Ok(())
}

fn refuse(path: &[u8], flag: &str, number: usize, line: &[u8]) -> Error {
    let place = say!("{} (line {} of {})", flag, number, keep::lossy(path));
    invalid(
        line,
        place,
        phrase!("no name without white space"),
        phrase!("lines of NAME=VALUE or NAME, and comments that begin with #"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_verbatim() {
        let content = b"\xef\xbb\xbfA=1\r\n# no\n\n  B=x y \nC\nD=\nE=\"q\"=\xff\n\t#no";
        let variables = parse_env_file(b"f", content).unwrap();
        let expected: [(&[u8], Option<&[u8]>); 5] =
            [(b"A", Some(b"1")), (b"B", Some(b"x y ")), (b"C", None), (b"D", Some(b"")), (b"E", Some(b"\"q\"=\xff"))];
        assert_eq!(variables.iter().map(|variable| (variable.name, variable.value)).collect::<Vec<_>>(), expected);
        assert!(parse_env_file(b"f", b"").unwrap().is_empty());
    }

    #[test]
    fn labels_are_read_verbatim() {
        let labels = parse_label_file(b"f", b"a=1=2\nb\n").unwrap();
        assert_eq!(labels, [Setting { name: "a", value: "1=2" }, Setting { name: "b", value: "" }]);
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_number() {
        for bad in ["ok=1\n=x", "ok=1\nA B=x", "ok=1\nA B"] {
            for (flag, error) in [
                ("--env-file", parse_env_file(b"my.env", bad.as_bytes()).unwrap_err()),
                ("--label-file", parse_label_file(b"my.env", bad.as_bytes()).unwrap_err()),
            ] {
                let error = error.to_string();
                assert!(error.contains(&format!("for {flag} (line 2 of my.env)")), "{error}");
                assert!(error.contains("accepted: lines of NAME=VALUE"), "{error}");
            }
        }
        assert!(parse_label_file(b"f", b"a=\xff").is_err());
    }
}

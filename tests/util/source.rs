//! Reads the project's sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The project's directory.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a directory of the project, with paths relative to the project.
pub fn rust_files(directory: &str) -> Vec<(PathBuf, String)> {
    let mut todo = vec![project().join(directory)];
    let mut files = Vec::new();
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).expect("list the sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("read a source file");
                files.push((path.strip_prefix(project()).expect("below the project").to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// The text with blanks for comments and for what stands in strings and characters; lines stay where they are.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if let (false, Some(length)) = (word, raw_string(rest)) {
            length
        } else if rest[0] == b'\'' && is_character(rest) {
            quoted(rest, b'\'')
        } else {
            at += 1;
            continue;
        };
        for byte in &mut out[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8(out).expect("whole characters were replaced")
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The length of a raw string that begins here.
fn raw_string(text: &[u8]) -> Option<usize> {
    let start = if text.starts_with(b"br") || text.starts_with(b"cr") { 2 } else { 1 };
    if text[start - 1] != b'r' {
        return None;
    }
    let hashes = text[start..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + hashes;
    if text.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = [b'"'].into_iter().chain([b'#'].repeat(hashes)).collect();
    let end = text[open + 1..].windows(close.len()).position(|window| window == close)?;
    Some(open + 1 + end + close.len())
}

/// A character in quotes, not a lifetime.
fn is_character(text: &[u8]) -> bool {
    match text.get(1) {
        Some(b'\\') => true,
        Some(first) if first.is_ascii() => text.get(2) == Some(&b'\''),
        Some(_) => true,
        None => false,
    }
}

/// Words and punctuation of code that [`code_only`] has cleaned, each with its line.
pub fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let word =
                rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let length = if word > 0 {
                word
            } else if rest.starts_with("::") {
                2
            } else {
                first
            };
            tokens.push((&rest[..length], number + 1));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

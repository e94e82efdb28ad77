//! Finds the phrases in the sources, for the build script.

/// The macros whose literals are phrases: all of them, wherever they stand between the brackets.
const MACROS: &[&str] = &["phrase!", "because!", "calls!", "errnos!", "finding!", "flags!", "hints!", "say!"];

/// Adds the values of all literals that are phrases.
pub fn phrases(source: &str, found: &mut Vec<String>) {
    let mut at = 0;
    // How many brackets are open since the name of a macro; none outside of one.
    let mut depth = 0;
    while let Some(&first) = source.as_bytes().get(at) {
        let rest = &source.as_bytes()[at..];
        at += match first {
            b'/' if rest.starts_with(b"//") => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            b'\'' => character(&source[at..]),
            b'"' => {
                let (value, length) = literal(&source[at..]);
                if depth > 0 {
                    found.push(value);
                }
                length
            }
            b'(' | b'{' | b'[' => {
                let before = source[..at].trim_end();
                depth += usize::from(depth > 0 || MACROS.iter().any(|name| before.ends_with(name)));
                1
            }
            b')' | b'}' | b']' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => 1,
        };
    }
}

/// The length of a character in single quotes; 1 if this is a lifetime.
fn character(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    let first = letters.next().map_or('\'', |(_, letter)| letter);
    if first == '\\' {
        letters.next();
    }
    match letters.find(|&(_, letter)| letter == '\'' || first != '\\') {
        Some((end, '\'')) => end + 1,
        _ => 1,
    }
}

/// The value of the literal in double quotes that begins here, and its length in the source.
fn literal(rest: &str) -> (String, usize) {
    let mut value = String::new();
    let mut tail = &rest[1..];
    while let Some(first) = tail.chars().next() {
        tail = &tail[first.len_utf8()..];
        if first == '"' {
            break;
        }
        if first != '\\' {
            value.push(first);
            continue;
        }
        let escape = tail.chars().next().unwrap_or('"');
        tail = &tail[escape.len_utf8()..];
        match escape {
            'n' => value.push('\n'),
            't' => value.push('\t'),
            'x' => {
                value.push(u8::from_str_radix(&tail[..2], 16).expect("two digits").into());
                tail = &tail[2..];
            }
            // The line goes on behind the white space.
            '\n' => tail = tail.trim_start(),
            other => value.push(other),
        }
    }
    (value, rest.len() - tail.len())
}

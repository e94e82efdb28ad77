//! Words: what people type, and small files that they write.

use std::net::IpAddr;

use vial::base::json::{Value, object};
use vial::base::text;
use vial::base::time::Timestamp;
use vial::cli::options::RunOptions;
use vial::cli::options::files::{parse_env_file, parse_label_file};
use vial::cli::parse;
use vial::image::instruction;
use vial::image::reference::{Image, Reference};

use super::texts;

pub fn names() -> Vec<Vec<u8>> {
    texts(&[
        "localhost:5000/a/b:tag@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "sha256:0123456789abcdef",
        "docker.io/library/alpine",
        "./here",
        "/a/../b/./c",
        "a\\040b",
    ])
}

/// What a name or a path is taken for means the same when it is said again.
pub fn name(bytes: &[u8]) {
    let _ = Image::parse(bytes);
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(reference) = Reference::parse(text) {
        let whole = format!("{}:{}", reference.name, reference.tag());
        let again = Reference::parse(&whole).expect("a name that was shown");
        assert_eq!((again.name, again.tag()), (reference.name, reference.tag()));
        assert!(!reference.name.contains("..") && !reference.name.starts_with('/'), "{}", reference.name);
        assert!(!reference.tag().contains('/'));
    }
    if let Some(path) = text::clean_path(text) {
        assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".." || part == "."), "{path}");
        assert_eq!(text::clean_path(&path).as_deref(), Some(&*path));
    }
    assert!(text::unescape_octal(text).len() <= text.len() * 3);
    let _ = (text::is_name(text), text::is_hostname(text), text::nearest(text, &mut ["run"].into_iter()));
}

pub fn numbers() -> Vec<Vec<u8>> {
    texts(&[
        "64m",
        "1h2m3.5s",
        "2024-01-02T03:04:05.678+01:00",
        "0-3,7",
        "1.5",
        "0755",
        "-1",
        "10.0.0.1",
        "fe80::1:2",
        "true",
    ])
}

/// Numbers of all kinds are what the standard library takes them for, and times and addresses too.
pub fn number(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(seen) = Timestamp::parse(text) {
        assert!(seen.nanos < 1_000_000_000);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!(text::decimal_u64(text), text.parse().ok().filter(|_| digits));
    let address = text.parse::<IpAddr>().ok().map(|address| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    });
    assert_eq!(text::address(text), address);
    let _ = (text::size(text), text::duration(text), text::billionths(text), text::octal_mode(text), text::uid(text));
    let _ = (text::is_cpu_list(text), text::is_address(text), text::decimal_i64(text), text::boolean(text));
}

pub fn files() -> Vec<Vec<u8>> {
    texts(&[
        "A=b\n# no\n\nC\r\nD=e f\n",
        "CMD [\"a\", \"b\"]\nENV A=b\nEXPOSE 80/tcp\nUSER u",
        "HEALTHCHECK",
        "LABEL a=\"b c\" d=e\nVOLUME [\"/v\"]\nWORKDIR ../x\nSTOPSIGNAL 9\nENTRYPOINT e",
    ])
}

/// Variables and labels are no more than lines, and instructions leave a configuration that is one.
pub fn file(bytes: &[u8]) {
    let variables = parse_env_file(b"file", bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(variables.map_or(true, |list| list.len() <= lines));
    if let Ok(labels) = parse_label_file(b"file", bytes) {
        assert!(labels.len() <= lines);
        for label in labels {
            assert!(!label.name.is_empty() && !label.name.contains(|c: char| c.is_ascii_whitespace()));
        }
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut config = object([]);
    let lines: Vec<&str> = text.split('\n').collect();
    if instruction::apply(&mut config, &lines).is_ok() {
        assert!(matches!(config, Value::Object(_)));
    }
}

pub fn lines() -> Vec<Vec<u8>> {
    let lines: &[&[&str]] = &[
        &[
            "--explain=json",
            "run",
            "--rm",
            "-it",
            "-v",
            "/a:/b:ro",
            "-e",
            "A=b",
            "--memory=64m",
            "host",
            "sh",
            "-c",
            "x",
        ],
        &[
            "run",
            "-d",
            "--name",
            "n",
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=5m",
            "--cap-drop",
            "ALL",
            "-u",
            "1:2",
            "image",
        ],
        &[
            "run",
            "--ulimit",
            "nofile=5:6",
            "--device",
            "/dev/null:/x:rw",
            "--restart",
            "on-failure:3",
            "--cpus",
            "1.5",
            "h",
        ],
        &["container", "ls", "-a", "--filter", "name=x", "--format", "{{.ID}}"],
        &["image", "rm", "--", "-x"],
        &["--root", "/r", "help", "run"],
        &["run", "--add-host", "a:1.2.3.4", "--dns", "::1", "--tmpfs", "/t:size=1k,mode=700", "--sysctl", "a=b", "h"],
    ];
    lines.iter().map(|words| words.join("\0").into_bytes()).collect()
}

/// Command lines: each word of the result is one that was given.
pub fn argv(bytes: &[u8]) {
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    match parse::parse(&words) {
        Ok(parsed) => {
            assert!(parsed.positionals.len() <= words.len());
            // Asking for help about a command makes its name the word for `help`.
            let help = words.iter().any(|word| word.starts_with(b"-") && word.contains(&b'h'));
            assert!(help || parsed.positionals.iter().all(|word| words.contains(word)), "a word from nowhere");
            let _ = RunOptions::from_parsed(&parsed, "bridge");
        }
        Err((_, error)) => assert!(!error.to_string().is_empty()),
    }
}

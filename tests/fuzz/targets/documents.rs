//! Documents: JSON and what is read out of it, the files of users, and errors in their wire form.

use vial::base::error::Error;
use vial::base::json::{self, MAX_DEPTH, Number, Value};
use vial::container::spec::Spec;
use vial::container::user::{self, Wanted};
use vial::image::blobs::{Descriptor, NATIVE};
use vial::image::manifest;

use super::texts;

pub fn json_texts() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"a":[1,-2.5e+3,true,false,null,"x\n\u00e9\ud83d\ude00"],"b":{}}"#,
        " [ 18446744073709551615 , -9223372036854775808 , 1E400 , -0 , 0.1 ] ",
        r#""\"\\\/\b\f\r\t""#,
        "[[[[[[[[[[]]]]]]]]]]",
    ])
}

fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut most, mut text, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => depth += 1,
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// Whether the two are the same value; a name twice is not here any more.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(one), serde_json::Value::Bool(other)) => one == other,
        (Value::String(one), serde_json::Value::String(other)) => one == other,
        (Value::Array(one), serde_json::Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), serde_json::Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(*name).is_some_and(|other| same(one, other)))
        }
        (Value::Number(one), serde_json::Value::Number(other)) => match one {
            Number::Int(one) => other.as_i64() == Some(*one),
            Number::Big(one) => other.as_u64() == Some(*one),
            // serde_json is not exact here.
            Number::Raw(one) => {
                let (one, other) = (one.parse::<f64>().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
                (one - other).abs() <= one.abs() * 1e-12
            }
        },
        _ => false,
    }
}

/// What is taken is what `serde_json` takes, but for what is refused on purpose; and it comes back from its own text.
pub fn json(bytes: &[u8]) {
    let ours = json::parse(bytes);
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    match (&ours, &theirs) {
        (Ok(value), Ok(other)) => assert!(same(value, other), "serde_json reads something else"),
        // serde_json has numbers of 64 bits only, and one level less.
        (Ok(_), Err(error)) => {
            assert!(
                error.to_string().contains("number out of range") || depth(bytes) >= 127,
                "only vial takes this: {error}"
            );
        }
        (Err(error), Ok(_)) => {
            assert!(error.offset <= bytes.len());
            let on_purpose = ["twice", "deep", "surrogate"];
            assert!(
                on_purpose.iter().any(|word| error.what.text().contains(word)),
                "only serde_json takes this: {error}"
            );
        }
        (Err(error), Err(_)) => assert!(error.offset <= bytes.len()),
    }
    if let Ok(value) = ours {
        assert!(depth(bytes) <= MAX_DEPTH);
        assert!(json::parse(value.to_compact().as_bytes()).as_ref() == Ok(&value), "its own text is something else");
        assert!(json::parse(value.to_pretty().as_bytes()).as_ref() == Ok(&value), "its own text is something else");
    }
}

pub fn configs() -> Vec<Vec<u8>> {
    let digest = "0123456789abcdef".repeat(4);
    texts(&[&format!(
        r#"{{"created":"2024-01-02T03:04:05.5Z","config":{{"Env":["A=b"],"Cmd":["sh"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}}}}"#
    )])
}

/// What becomes a file's name is a digest and nothing else.
pub fn config(bytes: &[u8]) {
    let Ok(config) = manifest::parse(bytes) else { return };
    let _ = manifest::created(&config);
    if let Ok(layers) = manifest::layers(&config) {
        assert!(!layers.is_empty());
        for layer in layers {
            assert!(
                layer.len() == 64 && layer.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            );
        }
    }
}

pub fn indexes() -> Vec<Vec<u8>> {
    let digest = "0123456789abcdef".repeat(4);
    texts(&[
        &format!(
            r#"[{{"digest":"sha256:{digest}","size":7,"mediaType":"m","platform":{{"os":"linux","architecture":"amd64"}}}},{{"digest":"sha256:{digest}","size":9,"platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}]"#
        ),
        &format!(r#"[{{"digest":"sha256:{digest}","size":7}}]"#),
    ])
}

/// A descriptor that is picked is one of those there are, and names its blob by a digest.
pub fn index(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let Some(list) = value.as_array() else { return };
    if let Ok(picked) = NATIVE.pick(list) {
        assert!(picked.digest().is_some_and(manifest::is_id));
        assert!(list.iter().any(|item| Descriptor::read(item).is_ok_and(|read| read == picked)));
    }
}

pub fn specs() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"ociVersion":"1.3.0","process":{"user":{"uid":1,"gid":2},"args":["sh"],"cwd":"/","env":["A=b"],"rlimits":[{"type":"RLIMIT_NOFILE","hard":9,"soft":9}]},"root":{"path":"r","readonly":true},"hostname":"h","mounts":[{"destination":"/p","type":"proc","source":"proc","options":["nosuid"]}],"annotations":{"a":"b"}}"#,
        r#"{"ociVersion":"1.3.0","linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],"resources":{"memory":{"limit":5},"devices":[{"allow":false,"access":"rwm"}]},"maskedPaths":["/x"],"uidMappings":[{"containerID":0,"hostID":1,"size":2}]}}"#,
    ])
}

/// A specification that was read and written is read the same again.
pub fn spec(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let Ok(mut spec) = Spec::from_json(&value) else { return };
    let written = spec.to_json();
    let again = Spec::from_json(&written).map(|mut spec| spec.to_json());
    assert!(again.is_ok_and(|again| again == written), "what was written is read as something else");
}

pub fn passwds() -> Vec<Vec<u8>> {
    texts(&[
        "web:www\0root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/var/www:\n\0root:x:0:\nwww:x:35:web,root\nstaff:x:50:web\n",
        "7\0a:b:7:8:c:d:e\n:::::\n\0g:x:4294967295:a\n",
        "nobody\0nobody:x:65534:65534::/:\n\0",
    ])
}

/// Whoever is found has numbers that are users', and groups that the file has.
pub fn passwd(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, '\0');
    let (who, users, groups) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (user, group) = who.split_once(':').unwrap_or((who, ""));
    let wanted = Wanted { user, group, further: &[] };
    // What it finds stays, as it does in a process that soon becomes another.
    let kept: &'static str = String::leak(users.to_owned());
    if let Ok(found) = user::find(&wanted, (1000, 1001), kept, groups) {
        assert!(found.uid != u32::MAX && found.gid != u32::MAX);
        for id in &found.groups {
            assert!(groups.contains(&id.to_string()) || groups.contains('0'), "a group from nowhere");
        }
        assert!(found.home.is_empty() || found.home.starts_with('/') || users.contains(found.home));
        if !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit()) && users.is_empty() {
            assert_eq!(user.parse(), Ok(found.uid));
        }
    }
}

pub fn errors() -> Vec<Vec<u8>> {
    vec![Error::new("no").because("why").hint("try").encode(), Error::new("no").encode()]
}

/// An error in its wire form is read as what it was.
pub fn wire(bytes: &[u8]) {
    let Some(error) = Error::decode(bytes) else { return };
    let shown = error.to_string();
    assert!(Error::decode(&error.encode()).is_some_and(|again| again.to_string() == shown));
}

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

/// What becomes a file's name is a digest and nothing else, and the layers are those that `serde_json` finds.
pub fn config(bytes: &[u8]) {
    let Ok(config) = manifest::parse(bytes) else { return };
    let _ = manifest::created(&config);
    let layers = manifest::layers(&config);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    for layer in layers.iter().flatten() {
        assert!(layer.len() == 64 && layer.bytes().all(is_digit));
    }
    let Ok(other) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let mut theirs = Vec::new();
    for layer in other["rootfs"]["diff_ids"].as_array().into_iter().flatten() {
        let digits = layer.as_str().and_then(|layer| layer.strip_prefix("sha256:")).unwrap_or_default();
        theirs.push(if digits.len() == 64 && digits.bytes().all(is_digit) { digits } else { "" });
    }
    match layers {
        Ok(layers) => assert!(layers == theirs && !theirs.is_empty(), "serde_json reads {theirs:?}"),
        Err(_) => assert!(theirs.is_empty() || theirs.contains(&""), "serde_json reads {theirs:?}"),
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

/// The only entry of a name, if there is one and the C library takes it: its two numbers, or the second twice.
#[allow(unsafe_code, reason = "the C library is called")]
fn theirs(name: &str, text: &str, of_groups: bool) -> Option<(u32, u32)> {
    if name.is_empty() {
        return None;
    }
    let begin = format!("{name}:");
    let mut lines = text.split('\n').filter(|line| line.starts_with(&begin));
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    // It is content with fewer fields, and with signs.
    let fields: Vec<&str> = line.split(':').collect();
    let numbers = fields.get(2..if of_groups { 3 } else { 4 })?;
    let are_numbers = numbers.iter().all(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    if !are_numbers || fields.len() < if of_groups { 4 } else { 7 } {
        return None;
    }
    let (mut line, mut buffer) = (format!("{line}\n").into_bytes(), vec![0; 2048]);
    // SAFETY: all that is zero is a record of each kind, if not a useful one.
    let (mut user, mut group): (libc::passwd, libc::group) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: what the pointers are to is there until the end, and the sizes are those of it; the file is closed once.
    unsafe {
        let file = libc::fmemopen(line.as_mut_ptr().cast(), line.len(), c"r".as_ptr());
        assert!(!file.is_null(), "there is memory");
        let (room, length) = (buffer.as_mut_ptr(), buffer.len());
        let code = if of_groups {
            libc::fgetgrent_r(file, &raw mut group, room, length, &mut std::ptr::null_mut())
        } else {
            libc::fgetpwent_r(file, &raw mut user, room, length, &mut std::ptr::null_mut())
        };
        libc::fclose(file);
        (code == 0).then_some(if of_groups { (group.gr_gid, group.gr_gid) } else { (user.pw_uid, user.pw_gid) })
    }
}

/// Whoever is found has numbers that are users', which are those that the C library finds, and groups that the file has.
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
        if let Some((uid, gid)) = theirs(user, users, false) {
            assert_eq!(found.uid, uid);
            // A number that is none is no group's.
            assert!(!group.is_empty() || found.gid == gid || gid == u32::MAX, "{} is {gid}", found.gid);
        }
        if let Some((gid, _)) = theirs(group, groups, true) {
            assert_eq!(found.gid, gid);
        }
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

//! Image configurations: the JSON document whose digest is an image's ID.
//!
//! # Source
//! The OCI image specification 1.1, `config.md`.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::json::{self, Value, object};
use crate::base::keep;
use crate::base::time::Timestamp;

/// This processor's name in Go's words, which the specification uses.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "arm") {
    "arm"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "unknown"
};

/// This machine as an index of images for several names it.
pub const PLATFORM: &str = if cfg!(target_arch = "x86_64") {
    "linux/amd64"
} else if cfg!(target_arch = "aarch64") {
    "linux/arm64"
} else if cfg!(target_arch = "riscv64") {
    "linux/riscv64"
} else {
    "linux/arm"
};

/// The configuration of an image of one layer, which says nothing about what to run.
#[must_use]
pub fn single_layer(layer: &str, created: Timestamp, message: &'static str) -> Value {
    let created = created.rfc3339();
    let history = object([("created", created.into()), ("comment", message.into())]);
    let layers: Vec<Value> = vec![format!("sha256:{layer}").into()];
    object([
        ("created", created.into()),
        ("architecture", ARCHITECTURE.into()),
        ("os", "linux".into()),
        ("config", object([])),
        ("rootfs", object([("type", "layers".into()), ("diff_ids", layers.into())])),
        ("history", vec![history].into()),
    ])
}

/// Reads a configuration.
///
/// # Errors
/// It is not JSON.
pub fn parse(text: &[u8]) -> Result<Value> {
    json::parse(text).map_err(|error| Error::new(say!("the image's configuration is damaged: {}", error)))
}

/// The layers of an image in hexadecimal digits, the lowest first.
///
/// # Errors
/// There are none, or one is not named by a SHA-256 digest.
pub fn layers(config: &Value) -> Result<Vec<&'static str>> {
    let mut layers = Vec::new();
    for layer in config.at(&["rootfs", "diff_ids"]).and_then(Value::as_array).unwrap_or_default() {
        match layer.as_str().and_then(|layer| layer.strip_prefix("sha256:")) {
            Some(digits) if is_id(digits) => layers.push(keep::copy(digits)),
            _ => return Err(unnamed()),
        }
    }
    if layers.is_empty() { Err(unnamed()) } else { Ok(layers) }
}

fn unnamed() -> Error {
    Error::new(phrase!("the image's configuration does not name its layers (rootfs.diff_ids)"))
}

/// When the image was made; the epoch if it does not say.
#[must_use]
pub fn created(config: &Value) -> Timestamp {
    config.get("created").and_then(Value::as_str).and_then(Timestamp::parse).unwrap_or_default()
}

/// Whether these are the 64 digits of a SHA-256 digest. What comes from outside becomes a file's name only after this.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_configuration_names_its_layer_and_time() {
        let created_at = Timestamp { secs: 1_700_000_000, nanos: 5 };
        let config = single_layer(&"ab".repeat(32), created_at, "from x");
        let read = parse(config.to_compact().as_bytes()).unwrap();
        assert_eq!(layers(&read).unwrap(), ["ab".repeat(32)]);
        assert_eq!(created(&read), created_at);
        assert_eq!(read.at(&["rootfs", "type"]).unwrap().as_str(), Some("layers"));
    }

    #[test]
    fn a_layer_that_is_not_a_digest_is_refused() {
        for bad in [
            r"{}",
            r#"{"rootfs":{"diff_ids":[]}}"#,
            r#"{"rootfs":{"diff_ids":["sha256:../../etc"]}}"#,
            r#"{"rootfs":{"diff_ids":["sha512:00"]}}"#,
            r#"{"rootfs":{"diff_ids":[7]}}"#,
        ] {
            assert!(layers(&parse(bad.as_bytes()).unwrap()).is_err(), "{bad}");
        }
        assert!(parse(b"{").is_err());
    }
}

//! Images whose configuration no tool would write.

use std::fs;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Scene;

/// Puts an image `name` into the store that has the layers of `base`, and this text as the member `config` of its
/// configuration. Its ID.
///
/// # Panics
/// When there is no such image.
pub fn configured(scene: &Scene, base: &str, name: &str, config: &str) -> String {
    let mut whole = document(scene, base);
    whole.as_object_mut().expect("it is an object").remove("config");
    let whole = whole.to_string();
    put(scene, name, &format!("{}, \"config\": {config}}}", whole.strip_suffix('}').expect("an object")))
}

/// Likewise with a configuration that is changed.
///
/// # Panics
/// When there is no such image.
pub fn rewritten(scene: &Scene, base: &str, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut whole = document(scene, base);
    change(&mut whole);
    put(scene, name, &whole.to_string())
}

/// An image's configuration.
fn document(scene: &Scene, name: &str) -> Value {
    let root = scene.root();
    let id = fs::read_to_string(root.join(format!("refs/{name}:latest"))).expect("the image has a name");
    let id = id.lines().next().expect("the name stands for an image");
    let text = fs::read(root.join(format!("images/{id}.json"))).expect("read its configuration");
    serde_json::from_slice(&text).expect("it is JSON")
}

fn put(scene: &Scene, name: &str, text: &str) -> String {
    let root = scene.root();
    let id: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(root.join(format!("images/{id}.json")), text).expect("write the configuration");
    fs::write(root.join(format!("refs/{name}:latest")), format!("{id}\n")).expect("write the name");
    id
}

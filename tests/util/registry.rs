//! Registries for tests: images made by hand, a server whose every answer the test decides, and Debian's registry.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Scene;
use super::archive::{end, member};
use super::command::Running;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `sha256:` and the digits.
pub fn digest(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("sha256:{digits}")
}

/// An image, and all blobs and manifests by their digests.
#[derive(Clone, Debug)]
pub struct Image {
    pub blobs: HashMap<String, Vec<u8>>,
    /// The digests of its layers as they travel.
    pub layers: Vec<String>,
    /// The digest of its configuration, which is its ID.
    pub config: String,
    /// The digest of its manifest.
    pub manifest: String,
    /// What its name stands for: the manifest or an index.
    pub top: String,
}

impl Image {
    /// Of layers, each a gzip archive of files by name and content.
    pub fn new(layers: &[Vec<u8>]) -> Image {
        let mut image = Image {
            blobs: HashMap::new(),
            layers: Vec::new(),
            config: String::new(),
            manifest: String::new(),
            top: String::new(),
        };
        let (mut descriptors, mut plain) = (Vec::new(), Vec::new());
        for layer in layers {
            plain.push(digest(layer));
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(layer).expect("compress to memory");
            let blob = encoder.finish().expect("compress to memory");
            let size = blob.len();
            let name = image.add(blob);
            let media = "application/vnd.oci.image.layer.v1.tar+gzip";
            descriptors.push(json!({"mediaType": media, "digest": name, "size": size}));
            image.layers.push(name);
        }
        let config = json!({
            "created": "2026-01-02T03:04:05Z", "architecture": go_architecture(), "os": "linux",
            "config": {"Cmd": ["cat", "/etc/hello"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": plain},
        });
        let config = serde_json::to_vec(&config).expect("write JSON");
        let size = config.len();
        image.config = image.add(config);
        let media = "application/vnd.oci.image.config.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": descriptors,
            "config": {"mediaType": media, "digest": image.config, "size": size},
        });
        image.manifest = image.add(serde_json::to_vec(&manifest).expect("write JSON"));
        image.top.clone_from(&image.manifest);
        image
    }

    /// A small one: `/etc/hello` says this.
    pub fn saying(words: &str) -> Image {
        Image::new(&[layer(&[("etc/hello", words.as_bytes())])])
    }

    /// Puts it into an index, for these architectures.
    pub fn indexed(mut self, architectures: &[&str]) -> Image {
        let size = self.blobs[&self.manifest].len();
        let list: Vec<_> = architectures
            .iter()
            .map(|architecture| {
                json!({"mediaType": MANIFEST, "digest": self.manifest, "size": size,
                       "platform": {"os": "linux", "architecture": architecture}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": list});
        self.top = self.add(serde_json::to_vec(&index).expect("write JSON"));
        self
    }

    fn add(&mut self, blob: Vec<u8>) -> String {
        let name = digest(&blob);
        self.blobs.insert(name.clone(), blob);
        name
    }

    /// Writes it as a directory in OCI's layout, where it is called `it`.
    pub fn write_layout(&self, directory: &Path) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("make a directory");
        for (name, blob) in &self.blobs {
            fs::write(blobs.join(name.trim_start_matches("sha256:")), blob).expect("write a blob");
        }
        let media = if self.top == self.manifest { MANIFEST } else { INDEX };
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": media, "digest": self.top, "size": self.blobs[&self.top].len(),
            "annotations": {"org.opencontainers.image.ref.name": "it"},
        }]});
        fs::write(directory.join("index.json"), index.to_string()).expect("write the index");
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("write the layout's mark");
    }
}

/// This machine's architecture as Go calls it.
pub fn go_architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

/// An archive of files in directories.
pub fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, body) in files {
        member(&mut archive, name.as_bytes(), 'f', b"", body);
    }
    end(&mut archive);
    archive
}

/// Bytes that can't be compressed, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x5eed_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// What a client asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub path: String,
    /// The fields of the head, names in lower case.
    pub fields: HashMap<String, String>,
}

impl Request {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// What a server does with a request; false to have it answered as a registry would.
pub type Answer = dyn Fn(&Request, usize, &mut TcpStream) -> bool + Send + Sync;

/// A server on loopback.
pub struct Server {
    /// `127.0.0.1:PORT`.
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    sent: Arc<Mutex<u64>>,
}

impl Server {
    /// Serves an image as `/v2/.../manifests/...` and `/v2/.../blobs/...`, except for what `answer` answers. It gets the request, how
    /// often its path was asked for before, and the connection.
    pub fn start(
        image: &Image,
        answer: impl Fn(&Request, usize, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let address = listener.local_addr().expect("the socket has an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(Mutex::new(0));
        let server = Server { address, requests: requests.clone(), sent: sent.clone() };
        let (image, answer) = (Arc::new(image.clone()), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (image, answer, requests, sent) = (image.clone(), answer.clone(), requests.clone(), sent.clone());
                thread::spawn(move || serve(connection, &image, &*answer, &requests, &sent));
            }
        });
        server
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no thread panicked").clone()
    }

    /// How often a path was asked for that ends so.
    pub fn count(&self, end: &str) -> usize {
        self.requests().iter().filter(|request| request.path.ends_with(end)).count()
    }

    /// How many bytes of bodies it sent as a registry would.
    pub fn sent(&self) -> u64 {
        *self.sent.lock().expect("no thread panicked")
    }
}

fn serve(mut connection: TcpStream, image: &Image, answer: &Answer, requests: &Mutex<Vec<Request>>, sent: &Mutex<u64>) {
    let Some(request) = read_request(&connection) else { return };
    let before = {
        let mut requests = requests.lock().expect("no thread panicked");
        requests.push(request.clone());
        requests.iter().filter(|known| known.path == request.path).count() - 1
    };
    if !answer(&request, before, &mut connection) {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let name = if last.starts_with("sha256:") { last } else { &image.top };
        match image.blobs.get(name) {
            Some(blob) => {
                let count = respond(&mut connection, &request, blob);
                *sent.lock().expect("no thread panicked") += count;
            }
            None => reply(
                &mut connection,
                "404 Not Found",
                "",
                br#"{"errors":[{"code":"BLOB_UNKNOWN","message":"no blob"}]}"#,
            ),
        }
    }
    // What was sent must arrive, also if the client says more.
    let _ = connection.shutdown(Shutdown::Write);
    let _ = connection.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = connection.read_to_end(&mut Vec::new());
}

fn read_request(connection: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next()?.ok()?;
    let path = first.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?.to_owned();
    let mut fields = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(Request { path, fields });
        }
        let (name, value) = line.split_once(": ")?;
        assert!(fields.insert(name.to_lowercase(), value.to_owned()).is_none(), "{name} is there twice");
    }
    None
}

/// An answer with a body.
pub fn reply(connection: &mut TcpStream, status: &str, fields: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
}

/// A blob, or the part that was asked for.
pub fn respond(connection: &mut TcpStream, request: &Request, blob: &[u8]) -> u64 {
    let range = request.field("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok());
    let (status, fields, part) = match range {
        Some(start) if start < blob.len() => {
            let field = format!("Content-Range: bytes {start}-{}/{}\r\n", blob.len() - 1, blob.len());
            ("206 Partial Content", field, &blob[start..])
        }
        Some(_) => ("416 Range Not Satisfiable", String::new(), &blob[..0]),
        None => ("200 OK", String::new(), blob),
    };
    reply(connection, status, &fields, part);
    part.len() as u64
}

/// Ends a server.
pub fn stop(scene: &Scene, server: Running<'_>) {
    scene.command("/bin/kill", ["-KILL", &server.id().to_string()]).ok();
    server.wait();
}

/// Debian's registry, on a free port of loopback, with these further lines of configuration.
pub fn debian<'a>(scene: &'a Scene, further: &str) -> (Running<'a>, String) {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("find a port").port();
    let address = format!("127.0.0.1:{port}");
    let files = scene.path("registry");
    fs::create_dir_all(&files).expect("make a directory");
    let configuration = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n{further}",
        files.display()
    );
    fs::write(scene.path("registry.yml"), configuration).expect("write a configuration");
    let running = scene.command("docker-registry", ["serve", "registry.yml"]).start();
    let ends = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(&address).is_err() {
        assert!(Instant::now() < ends, "the registry does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    (running, address)
}

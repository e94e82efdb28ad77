//! A registry as a place where blobs lie: the OCI distribution specification from the client's side.
//!
//! What is fetched goes to `partial/HEX` in the store first, named by its digest, and stays there until the image has landed:
//! whoever asks for it again goes on where the one before was interrupted.
//!
//! # Source
//! The OCI distribution specification 1.1; docker's "HTTP API V2".

mod auth;
mod connect;
mod fetch;
mod http;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

pub use self::auth::parameter;
use self::http::is_secure;
pub use self::http::{Client, is_plain, origin};
use super::blobs::Descriptor;
use super::helper::Helper;
use super::reference::{self, Reference};
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::kernel::program::Environment;
use crate::sys::{Fd, FdRef, file, process};

/// The registry that is meant where none is named.
const HUB: &str = "docker.io";
/// Where that one really is.
const HUB_URL: &str = "https://registry-1.docker.io";
/// The longest text that is neither manifest nor blob: a token, what an error says.
const TEXT: usize = 60_000;
/// Redirections in a row.
const HOPS: u32 = 5;
/// How often the same is asked for if it may go well the next time.
const TRIES: u32 = 4;
/// The longest time that a registry may have us wait before we ask again, in seconds.
const PAUSE: u64 = 60;
/// What is asked for: the OCI specification's kinds of manifests, docker's, and blobs.
const ACCEPT: Phrase = phrase!(
    "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*\n"
);

/// A registry's repository.
pub struct Registry {
    client: Client,
    /// Where the registry is.
    base: &'static str,
    /// The repository's whole name there.
    name: &'static str,
    /// Who is asking: a line of a request's head, or nothing.
    authorization: &'static str,
    /// Likewise with name and password, for those who ask for them.
    basic: &'static str,
    /// Where downloads lie.
    partial: Fd,
    /// The digests of what lies there.
    fetched: Vec<&'static str>,
    /// Whether to say on standard error how far the layers are, a line for each.
    show: bool,
    /// The layers that are fetched.
    wanted: &'static [Descriptor],
    /// The process that fetches them, in their order, and how many are there.
    fetcher: Option<Helper>,
    ready: usize,
}

/// Registry and repository of a name.
#[must_use]
#[inline(never)]
pub fn place(name: &'static str) -> (&'static str, &'static str) {
    match reference::registry(name) {
        Some(place) => place,
        None if name.has(b'/') => (HUB, name),
        None => (HUB, join!("library/{}", name)),
    }
}

impl Registry {
    /// Gets ready to ask for what a name stands for; nothing is asked yet. `root` is the directory of all state, and
    /// `credentials` are `USER:PASSWORD` or empty. With `plain` HTTP is spoken, if the settings don't say where the registry is.
    ///
    /// # Errors
    /// Settings that can't be understood.
    #[inline(never)]
    pub fn open(
        root: FdRef<'_>,
        env: Environment<'static>,
        name: &Reference<'static>,
        mut credentials: &'static str,
        plain: bool,
        show: bool,
    ) -> Result<Box<Registry>> {
        let (registry, name) = place(name.name);
        let host = registry.cut_last(b':').map_or(registry, |(host, _)| host);
        let is_here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        let scheme = if plain || is_here { "http" } else { "https" };
        let mut base = if registry == HUB { HUB_URL } else { join!("{}://{}", scheme, registry) };
        // A line for each registry that is elsewhere: NAME URL [USER:PASSWORD]
        let lines = keep::lossy(&file::read_file(root, c"registries", 1 << 20).unwrap_or_default());
        for line in lines.parts(b'\n') {
            let mut words = line.words();
            if words.next() == Some(registry) {
                base = words.next().unwrap_or_default();
                if credentials.is_empty() {
                    credentials = words.next().unwrap_or_default();
                }
            }
        }
        if origin(base).is_empty() {
            return Err(Error::new(say!("the registry {} is not at an address: {}", registry, shown(base)))
                .hint(phrase!("the file `registries` in the directory of all state has lines such as: docker.io http://10.0.0.5:5000")));
        }
        let seconds = env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"VIAL_TIMEOUT="));
        let Some(seconds @ 1..) = text::decimal_u32(keep::lossy(seconds.unwrap_or(b"60"))) else {
            return Err(Error::new(phrase!("VIAL_TIMEOUT is no number of seconds")));
        };
        let basic =
            if credentials.is_empty() { "" } else { join!("Authorization: Basic {}\n", auth::base64(credentials)) };
        file::mkdir_if_missing(root, c"partial", 0o700)?;
        let partial = file::open(root, c"partial", libc::O_RDONLY | libc::O_DIRECTORY)?;
        Ok(Box::new(Registry {
            client: Client::new(env, i64::from(seconds) * 1000),
            base,
            name,
            authorization: "",
            basic,
            partial,
            fetched: Vec::new(),
            show,
            wanted: &[],
            fetcher: None,
            ready: 0,
        }))
    }

    /// Asks for something of the repository: follows redirections, and says who is asking. Then the client is at the beginning of
    /// a body that was asked for (200), or of a part of it (206). `more` are further lines of the request.
    #[inline(never)]
    fn get(&mut self, path: &str, more: &str) -> Result<()> {
        let mut url = join!("{}/v2/{}/{}", self.base.trim_end_matches('/'), self.name, path);
        let (mut hops, mut asked) = (0, false);
        loop {
            let ours = origin(url) == origin(self.base);
            let authorization = if ours { self.authorization } else { "" };
            self.client.ask(url, join!("{}{}{}", authorization, more, ACCEPT))?;
            match self.client.status {
                200 | 206 => return Ok(()),
                300..=399 => {
                    let location = self.client.field("location");
                    let before = if location.starts_with('/') { origin(url) } else { "" };
                    let next = join!("{}{}", before, location);
                    hops += 1;
                    // What came safely must not go on in the open.
                    if origin(next).is_empty() || hops > HOPS || (is_secure(url) && !is_secure(next)) {
                        return Err(self.client.answered(say!("a redirection to {}", location)));
                    }
                    url = next;
                }
                401 if ours && !asked => {
                    asked = true;
                    self.authenticate()?;
                }
                _ => return Err(self.refused()),
            }
        }
    }

    /// Does something until it is done, as long as it may go well the next time.
    #[inline(never)]
    fn persist(&mut self, act: &mut dyn FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut tries = 1;
        loop {
            let result = act(self);
            if result.is_ok() || !self.client.may_pass || tries == TRIES {
                return result;
            }
            process::sleep((self.client.after() as u32 * 1000).max(250 << tries));
            tries += 1;
        }
    }

    /// The error of an answer that is a refusal, in the registry's own words.
    #[cold]
    #[inline(never)]
    fn refused(&mut self) -> Error {
        let status = self.client.status;
        let body = json::parse(&self.client.body(TEXT).unwrap_or_default()).unwrap_or_default();
        let first = body.get("errors").and_then(Value::as_array).and_then(<[Value]>::first).unwrap_or(&body);
        let said = first.get("message").or(first.get("details")).and_then(Value::as_str).unwrap_or_default();
        let error = self.client.answered(say!("{} {}", self.client.reason(), said));
        self.client.may_pass = (status == 429 || status >= 500) && self.client.after() <= PAUSE;
        if matches!(status, 401 | 403 | 404) {
            return error.hint(phrase!("is the name right? what is not public needs --creds USER:PASSWORD"));
        }
        error
    }
}

/// What a stranger says, as it can be shown: not too much of it, and nothing that a terminal would obey.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for byte in text.bytes().take(300) {
        let plain = byte == b' ' || byte.is_ascii_graphic();
        shown.push(if plain { char::from(byte) } else { '?' });
    }
    shown
}

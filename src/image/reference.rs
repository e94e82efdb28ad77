//! What stands for an image on the command line: `name[:tag]`, an ID, `host`, or a path.

use alloc::string::String;

use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::text::{Cut, Quoted};

/// The longest tag.
const TAG_MAX: usize = 128;
/// The longest name: it becomes part of paths.
const NAME_MAX: usize = 255;
/// The name of the host's own root as an image.
const HOST: &str = "host";

/// What to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Image<'a> {
    /// The host's own root.
    #[default]
    Host,
    /// A directory, or a file with a file system in it: it starts with `/` or `.`.
    Path(&'a [u8]),
    /// A whole ID of 64 hexadecimal digits, or with `sha256:` before it any leading part of one.
    Id(&'a str),
    /// A name; without tag and digest it may also be the beginning of an ID, see [`Reference::id_prefix`].
    Name(Reference<'a>),
}

/// An image's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The name, with the registry before the first slash if there is one: `alpine`, `localhost:5000/team/app`.
    pub name: &'a str,
    /// The tag as it was given.
    pub tag: Option<&'a str>,
    /// The digest, `sha256:` and 64 hexadecimal digits.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Reads an image argument.
    ///
    /// # Errors
    /// It is none of the four.
    pub fn parse(word: &'a [u8]) -> Result<Image<'a>> {
        if matches!(word, [b'/' | b'.', ..]) {
            return Ok(Image::Path(word));
        }
        let Ok(text) = core::str::from_utf8(word) else {
            return Err(invalid(&String::from_utf8_lossy(word), phrase!("not UTF-8")));
        };
        if text == HOST {
            return Ok(Image::Host);
        }
        let id = text.strip_prefix("sha256:");
        match id.unwrap_or(text) {
            hex if is_hex(hex) && (hex.len() == 64 || id.is_some_and(|_| hex.len() < 64)) => Ok(Image::Id(hex)),
            _ => Reference::parse(text).map(Image::Name),
        }
    }
}

impl<'a> Reference<'a> {
    /// Reads `name[:tag][@sha256:...]`.
    ///
    /// # Errors
    /// The name, the tag or the digest is malformed.
    pub fn parse(text: &'a str) -> Result<Reference<'a>> {
        let (rest, digest) = text.cut(b'@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before a slash belongs to the registry's port.
        let slash = rest.cut_last(b'/').map_or(0, |(before, _)| before.len() + 1);
        let colon = rest[slash..].find(':').map(|at| slash + at);
        let (name, tag) = colon.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
        if !is_repository(name) {
            return Err(invalid(text, phrase!("the name is malformed")));
        }
        let name = familiar(name);
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid(text, phrase!("the tag is malformed")));
        }
        let is_digest = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_hex(hex));
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(invalid(text, phrase!("the digest is malformed")));
        }
        Ok(Reference { name, tag, digest })
    }

    /// Reads the name for a new image: one that [`Image::parse`] would not take for something else.
    ///
    /// # Errors
    /// It is malformed, carries a digest, or already means something else.
    pub fn parse_new(text: &'a str) -> Result<Reference<'a>> {
        let reference = Reference::parse(text)?;
        if reference.digest.is_some() {
            return Err(invalid(text, phrase!("a digest can't be chosen")));
        }
        if matches!(reference.name, HOST | "sha256") || (reference.name.len() == 64 && is_hex(reference.name)) {
            return Err(invalid(text, phrase!("this name already means something else")));
        }
        Ok(reference)
    }

    /// The tag, `latest` if none was given.
    #[must_use]
    pub fn tag(&self) -> &'a str {
        self.tag.unwrap_or("latest")
    }

    /// The text as the beginning of an ID, if it can be one.
    #[must_use]
    pub fn id_prefix(&self) -> Option<&'a str> {
        (self.tag.is_none() && self.digest.is_none() && self.name.len() <= 64 && is_hex(self.name)).then_some(self.name)
    }
}

/// The registry that a name begins with, and what is behind it.
#[must_use]
#[inline(never)]
pub fn registry(name: &str) -> Option<(&str, &str)> {
    name.cut(b'/').filter(|(first, _)| *first == "localhost" || first.has(b'.') || first.has(b':'))
}

/// A name of docker's own registry as people write it: `docker.io/library/alpine` is `alpine`, as for docker. What would then
/// be another registry's stays as it is.
fn familiar(name: &str) -> &str {
    let own = ["docker.io/", "index.docker.io/"].into_iter().find_map(|registry| name.strip_prefix(registry));
    let name = own.filter(|rest| registry(rest).is_none()).unwrap_or(name);
    name.strip_prefix("library/").filter(|rest| rest.cut(b'/').is_none()).unwrap_or(name)
}

fn invalid(text: &str, why: Phrase) -> Error {
    Error::new(say!("invalid image {}: {}", Quoted(text), why)).hint(
        phrase!("accepted: NAME[:TAG] in lower case, such as alpine:3.20, an image's ID, `host`, or a path that starts with / or ."),
    )
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
fn is_tag(tag: &str) -> bool {
    tag.len() <= TAG_MAX
        && !tag.starts_with(['.', '-'])
        && !tag.is_empty()
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Components joined by slashes; the first may be a registry with a port.
fn is_repository(name: &str) -> bool {
    let path = match registry(name) {
        Some((first, path)) => {
            if !is_registry(first) {
                return false;
            }
            path
        }
        _ => name,
    };
    name.len() <= NAME_MAX && path.parts(b'/').all(is_component)
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.cut(b':').unwrap_or((text, "0"));
    crate::base::text::is_hostname(host) && port.parse::<u16>().is_ok()
}

/// Lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    ends && bytes
        .split(alphanumeric)
        .all(|gap| matches!(gap, b"" | b"." | b"_" | b"__") || gap.iter().all(|&byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_have_an_optional_registry_tag_and_digest() {
        let digest = format!("sha256:{HEX}");
        let full = format!("app:1@{digest}");
        for (text, name, tag, digest) in [
            ("alpine", "alpine", None, None),
            ("alpine:3.20", "alpine", Some("3.20"), None),
            ("a/b_c/d__e/f--g.h", "a/b_c/d__e/f--g.h", None, None),
            ("localhost:5000/team/app:v1", "localhost:5000/team/app", Some("v1"), None),
            ("localhost:5000/app", "localhost:5000/app", None, None),
            ("ghcr.io/x/y:_1", "ghcr.io/x/y", Some("_1"), None),
            ("docker.io/library/alpine:3", "alpine", Some("3"), None),
            ("docker.io/alpine", "alpine", None, None),
            ("index.docker.io/team/app", "team/app", None, None),
            ("docker.io/library/a.b", "a.b", None, None),
            ("docker.io/a.b/c", "docker.io/a.b/c", None, None),
            ("index.docker.io/docker.io/a", "index.docker.io/docker.io/a", None, None),
            ("docker.io/localhost/a", "docker.io/localhost/a", None, None),
            ("library/a", "a", None, None),
            ("library/a/b", "library/a/b", None, None),
            ("quay.io/library/a", "quay.io/library/a", None, None),
            (full.as_str(), "app", Some("1"), Some(digest.as_str())),
        ] {
            assert_eq!(Reference::parse(text), Ok(Reference { name, tag, digest }), "{text}");
        }
        assert_eq!(Reference::parse("alpine").unwrap().tag(), "latest");
    }

    #[test]
    fn malformed_names_are_refused_with_what_is_accepted() {
        let long = ["a"; 256].concat();
        let tag = format!("a:{}", ["a"; 129].concat());
        for bad in [
            "",
            ":",
            ":tag",
            "Alpine",
            "a:",
            "a:-x",
            "a:.x",
            "a:b:c",
            "a b",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a_.b",
            "a@",
            "a@sha256:12",
            "a@md5:12",
            "localhost:x/a",
            "localhost:99999/a",
            "-x.y/a",
            "é",
            "a/../b",
            &long,
            &tag,
        ] {
            let error = Reference::parse(bad).unwrap_err().to_string();
            assert!(error.contains("invalid image") && error.contains("accepted: NAME[:TAG]"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn an_image_is_the_host_a_path_an_id_or_a_name() {
        assert_eq!(Image::parse(b"host"), Ok(Image::Host));
        assert_eq!(Image::parse(b"./r\xff"), Ok(Image::Path(b"./r\xff")));
        assert_eq!(Image::parse(b"/r"), Ok(Image::Path(b"/r")));
        assert_eq!(Image::parse(b"."), Ok(Image::Path(b".")));
        assert_eq!(Image::parse(HEX.as_bytes()), Ok(Image::Id(HEX)));
        assert_eq!(Image::parse(b"sha256:0123ab"), Ok(Image::Id("0123ab")));
        let Ok(Image::Name(short)) = Image::parse(b"0123ab") else { panic!("not a name") };
        assert_eq!(short.id_prefix(), Some("0123ab"));
        let Ok(Image::Name(named)) = Image::parse(b"host:1") else { panic!("not a name") };
        assert_eq!((named.name, named.id_prefix()), ("host", None));
        assert!(Image::parse(b"\xff").is_err());
        assert!(Image::parse(b"").is_err());
    }

    #[test]
    fn a_new_name_must_not_already_mean_something() {
        assert!(Reference::parse_new("mine:1").is_ok());
        for bad in ["host", "host:1", "sha256:12", HEX, "Mine", &format!("a@sha256:{HEX}")] {
            assert!(Reference::parse_new(bad).is_err(), "{bad}");
        }
    }
}

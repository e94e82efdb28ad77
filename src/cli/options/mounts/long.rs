//! `--mount`: comma-separated keys and values, quoted as in CSV.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Mount, NAME, Propagation, Source, Tmpfs, target};
use crate::base::error::Result;
use crate::base::text;
use crate::cli::parse::Given;

const FORM: &str = "type=bind,src=PATH,dst=TARGET[,readonly][,bind-propagation=rprivate|private|rslave|slave|rshared|shared]\
                    [,bind-recursive=enabled|disabled]; type=volume[,src=NAME],dst=TARGET[,readonly][,volume-nocopy]; \
                    type=tmpfs,dst=TARGET[,readonly][,tmpfs-size=64m][,tmpfs-mode=1777]";

/// The keys that belong to one type only, as bits of what was seen.
const BIND: u8 = 1;
const VOLUME: u8 = 2;
const TMPFS: u8 = 4;

/// What the keys say, before it is known whether they fit together.
struct Draft<'t> {
    /// A bit of the above: what `type=` names, docker's default being a volume.
    kind: u8,
    /// Bits of the above: keys that were given for one type only.
    used: u8,
    source: Option<&'t str>,
    target: Option<String>,
    read_only: bool,
    propagation: Propagation,
    recursive: bool,
    copy: bool,
    tmpfs: Tmpfs,
}

/// Reads the whole value.
pub(super) fn mount(given: &Given<'_>) -> Result<Mount> {
    let fields = given.check(csv(given.text()?), "a quotation mark is out of place", FORM)?;
    let mut draft = Draft {
        kind: VOLUME,
        used: 0,
        source: None,
        target: None,
        read_only: false,
        propagation: Propagation::default(),
        recursive: true,
        copy: true,
        tmpfs: Tmpfs::default(),
    };
    for field in &fields {
        let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(key, value)| (key, Some(value)));
        given.check(draft.set(key, value), "a key is unknown or its value malformed", FORM)?;
    }
    draft.finish(given)
}

impl<'t> Draft<'t> {
    fn set(&mut self, key: &str, value: Option<&'t str>) -> Option<()> {
        // A switch may stand alone.
        let switch = || value.map_or(Some(true), text::boolean);
        match key {
            "type" => {
                self.kind = match value? {
                    "bind" => BIND,
                    "volume" => VOLUME,
                    "tmpfs" => TMPFS,
                    _ => return None,
                }
            }
            "source" | "src" => self.source = Some(value?),
            "target" | "destination" | "dst" => self.target = Some(target(value?)?),
            "readonly" | "ro" => self.read_only = switch()?,
            "bind-propagation" => (self.used, self.propagation) = (self.used | BIND, Propagation::parse(value?)?),
            "bind-nonrecursive" => (self.used, self.recursive) = (self.used | BIND, !switch()?),
            "bind-recursive" => {
                let recursive = match value? {
                    "enabled" => true,
                    "disabled" => false,
                    _ => return None,
                };
                (self.used, self.recursive) = (self.used | BIND, recursive);
            }
            "volume-nocopy" => (self.used, self.copy) = (self.used | VOLUME, !switch()?),
            "tmpfs-size" => {
                self.used |= TMPFS;
                self.tmpfs.size = Some(text::size(value?).filter(|&bytes| bytes > 0)?);
            }
            "tmpfs-mode" => (self.used, self.tmpfs.mode) = (self.used | TMPFS, Some(text::octal_mode(value?)?)),
            _ => return None,
        }
        Some(())
    }

    fn finish(self, given: &Given<'_>) -> Result<Mount> {
        given.check((self.used & !self.kind == 0).then_some(()), "a key belongs to another type", FORM)?;
        let target = given.check(self.target, "no target", FORM)?;
        let source = match (self.kind, self.source) {
            (BIND, Some(path)) if path.starts_with(['/', '.']) => Source::Bind {
                path: path.into(),
                create: false,
                recursive: self.recursive,
                propagation: self.propagation,
            },
            (BIND, _) => return Err(given.refuse("a bind mount needs a source path that starts with / or .", FORM)),
            (TMPFS, None) => Source::Tmpfs(self.tmpfs),
            (TMPFS, Some(_)) => return Err(given.refuse("a tmpfs has no source", FORM)),
            (_, None | Some("")) => Source::Anonymous { copy: self.copy },
            (_, Some(name)) if text::is_name(name) => Source::Volume { name: name.into(), copy: self.copy },
            _ => return Err(given.refuse("the source is not a volume's name", NAME)),
        };
        Ok(Mount { source, target, read_only: self.read_only })
    }
}

/// The fields of one line of comma-separated values, RFC 4180: a quoted field may hold commas, and quotes doubled.
fn csv(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, tail) = quoted.split_once('"')?;
                field.push_str(part);
                rest = tail;
                match tail.strip_prefix('"') {
                    Some(more) => quoted = more,
                    None => break,
                }
                field.push('"');
            }
            if !matches!(rest.bytes().next(), None | Some(b',')) {
                return None;
            }
        } else {
            let (plain, tail) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            if plain.contains('"') {
                return None;
            }
            field.push_str(plain);
            rest = tail;
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return Some(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_as_in_csv() {
        for (text, fields) in [
            ("a,b=c", Some(vec!["a", "b=c"])),
            ("", Some(vec![""])),
            ("a,", Some(vec!["a", ""])),
            ("\"src=/a,b\",dst=/c", Some(vec!["src=/a,b", "dst=/c"])),
            ("\"say \"\"hi\"\"\"", Some(vec!["say \"hi\""])),
            ("\"\"", Some(vec![""])),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
            ("src=\"/a,b\"", None),
        ] {
            assert_eq!(csv(text), fields.map(|fields| fields.into_iter().map(String::from).collect()), "{text}");
        }
    }
}

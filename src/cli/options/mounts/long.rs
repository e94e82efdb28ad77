//! `--mount`: comma-separated keys and values, quoted as in CSV.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Mount, NO_NAME, Propagation, Read, Source, target, tmpfs_option};
use crate::base::text::{self, Cut};

/// The keys that belong to one type only, as bits of what was seen.
const BIND: u8 = 1;
const VOLUME: u8 = 2;
const TMPFS: u8 = 4;

/// A type's bit.
fn kind(name: &str) -> Option<u8> {
    text::place("bind volume tmpfs", name).map(|place| 1 << place)
}

/// All keys.
const KEYS: &str = "type source src target destination dst readonly ro bind-propagation bind-nonrecursive bind-recursive \
                    volume-nocopy U chown tmpfs-size tmpfs-mode";

#[expect(clippy::struct_excessive_bools, reason = "each is a thing that the user asked for or not")]
/// What the keys say, before it is known whether they fit together.
struct Draft<'t> {
    /// A bit of the above: what `type=` names, docker's default being a volume.
    kind: u8,
    /// Bits of the above: keys that were given for one type only.
    used: u8,
    source: Option<&'t str>,
    target: Option<&'static str>,
    read_only: bool,
    propagation: Propagation,
    recursive: bool,
    copy: bool,
    owned: bool,
    tmpfs: Vec<&'static str>,
}

/// Reads the whole value.
pub(super) fn mount(text: &str) -> Read<Mount<'_>> {
    let mut draft = Draft {
        kind: VOLUME,
        used: 0,
        source: None,
        target: None,
        read_only: false,
        propagation: Propagation::default(),
        recursive: true,
        copy: true,
        owned: false,
        tmpfs: super::TMPFS.to_vec(),
    };
    for field in csv(text).ok_or(phrase!("a quotation mark is out of place"))? {
        let (key, value) = field.cut(b'=').map_or((field, None), |(key, value)| (key, Some(value)));
        draft.set(key, value).ok_or(phrase!("a key is unknown or its value malformed"))?;
    }
    draft.finish()
}

impl<'t> Draft<'t> {
    #[inline(never)]
    fn set(&mut self, key: &str, value: Option<&'t str>) -> Option<()> {
        // A switch may stand alone.
        let switch = || value.map_or(Some(true), text::boolean);
        match text::place(KEYS, key)? {
            0 => self.kind = kind(value?)?,
            1 | 2 => self.source = Some(value?),
            3..=5 => self.target = Some(target(value?)?),
            6 | 7 => self.read_only = switch()?,
            8 => self.propagation = Propagation::named(value?)?,
            9 => self.recursive = !switch()?,
            10 => self.recursive = text::place("disabled enabled", value?)? == 1,
            11 => self.copy = !switch()?,
            12 | 13 => self.owned = switch()?,
            _ => tmpfs_option(&mut self.tmpfs, &key[6..], value?)?,
        }
        // Which type a key is for stands before it.
        self.used |= key.cut(b'-').and_then(|(before, _)| kind(before)).unwrap_or_default();
        Some(())
    }

    #[inline(never)]
    fn finish(self) -> Read<Mount<'t>> {
        if self.used & !self.kind != 0 {
            return Err(phrase!("a key belongs to another type"));
        }
        if self.owned && self.kind == TMPFS {
            return Err(phrase!("a key belongs to another type"));
        }
        let target = self.target.ok_or(phrase!("no target"))?;
        let source = match (self.kind, self.source) {
            (BIND, Some(path)) if path.starts_with(['/', '.']) => {
                let (recursive, propagation) = (self.recursive, self.propagation);
                Source::Bind { path, create: false, recursive, propagation }
            }
            (BIND, _) => return Err(phrase!("a bind mount needs a source path that starts with / or .")),
            (TMPFS, None) => Source::Tmpfs(self.tmpfs.leak()),
            (TMPFS, Some(_)) => return Err(phrase!("a tmpfs has no source")),
            (_, None | Some("")) => Source::Anonymous { copy: self.copy },
            (_, Some(name)) if text::is_name(name) => Source::Volume { name, copy: self.copy },
            _ => return Err(NO_NAME),
        };
        Ok(Mount { source, target, read_only: self.read_only, idmap: false, owned: self.owned, labelled: false })
    }
}

/// The fields of one line of comma-separated values, RFC 4180: a quoted field may hold commas, and quotes doubled.
fn csv(text: &str) -> Option<Vec<&'static str>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let (part, tail) = quoted.cut(b'"')?;
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
            if plain.cut(b'"').is_some() {
                return None;
            }
            field.push_str(plain);
            rest = tail;
        }
        fields.push(&*field.leak());
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
            assert_eq!(csv(text), fields, "{text}");
        }
    }
}

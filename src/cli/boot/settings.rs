//! What a machine is to be, from the kernel's command line (`vial.KEY=VALUE`) and from `/etc/vial/boot.conf` (`KEY=VALUE`).

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{Cut, Quoted};

/// The file of settings.
pub(super) const FILE: &str = "/etc/vial/boot.conf";

/// All of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// Modules to load, in this order.
    pub(super) modules: Vec<&'static str>,
    /// How the machine is connected; empty if it is not.
    pub(super) net: &'static str,
    /// Its name.
    pub(super) hostname: &'static str,
    /// The block device that keeps vial's state; empty for memory.
    pub(super) data: &'static str,
    /// The directory of archives that become images.
    pub(super) images: &'static str,
    /// What containers are started with: variables of vial's environment.
    pub(super) env: Vec<&'static str>,
    /// What `vial run` is given, after which the machine goes down; empty if it stays.
    pub(super) run: &'static str,
}

impl Settings {
    /// Those of a kernel's command line and of a file. The command line counts where both say something. With them come the errors
    /// of settings that there are not; the others count all the same.
    pub(super) fn read(command_line: &str, file: &str) -> (Settings, Vec<Error>) {
        let mut settings = Settings { images: "/images", ..Settings::default() };
        let mut errors = Vec::new();
        let mut set = |word: &str| errors.extend(settings.set(word).err());
        for line in file.parts(b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() && !line.starts_with('#') {
                set(line);
            }
        }
        for word in words(command_line) {
            if let Some(word) = word.strip_prefix("vial.") {
                set(word);
            }
        }
        (settings, errors)
    }

    fn set(&mut self, word: &str) -> Result<()> {
        let (key, value) = word.cut(b'=').unwrap_or((word, ""));
        let value = keep::copy(value.trim_ascii());
        match key.trim_ascii() {
            "modules" => self.modules.extend(value.parts(b',').filter(|name| !name.is_empty())),
            "net" => self.net = value,
            "hostname" => self.hostname = value,
            "data" => self.data = value,
            "images" => self.images = value,
            "env" => self.env.push(value),
            "run" => self.run = value,
            other => {
                return Err(Error::new(say!("boot: unknown setting {}", Quoted(other)))
                    .hint(phrase!("accepted: modules, net, hostname, data, images, env and run")));
            }
        }
        Ok(())
    }
}

/// The words of a line, between blanks; quotes, which are left out, hold together what has blanks. The kernel knows double ones.
pub(super) fn words(line: &str) -> Vec<&'static str> {
    let (mut words, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    for letter in line.chars() {
        match letter {
            _ if quote == Some(letter) => quote = None,
            '"' | '\'' if quote.is_none() => (quote, is_word) = (Some(letter), true),
            _ if quote.is_none() && letter.is_ascii_whitespace() => {
                if core::mem::take(&mut is_word) {
                    words.push(keep::copy(&core::mem::take(&mut word)));
                }
            }
            _ => {
                word.push(letter);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(keep::copy(&word));
    }
    words
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn words_are_held_together_by_quotes_of_either_kind() {
        assert_eq!(words("a  b\tc\n"), ["a", "b", "c"]);
        assert_eq!(
            words(r#"vial.run="--rm bb sh -c 'echo a b'" quiet"#),
            ["vial.run=--rm bb sh -c 'echo a b'", "quiet"]
        );
        assert_eq!(words("--rm bb sh -c 'echo a b' ''"), ["--rm", "bb", "sh", "-c", "echo a b", ""]);
        assert_eq!(words("'open end"), ["open end"]);
        assert!(words(" ").is_empty());
    }

    #[test]
    fn the_command_line_counts_before_the_file_and_lists_add_up() {
        let file = "# a board\nmodules = a,b\nnet=dhcp\n\nenv=VIAL_NETWORK=none\nimages=/more\n";
        let line = r#"console=ttyS0 vial.modules=c vial.net=10.0.0.2/24 vial.run="bb true" ro vial.env=A=1"#;
        let (settings, errors) = Settings::read(line, file);
        assert!(errors.is_empty());
        assert_eq!(settings.modules, ["a", "b", "c"]);
        assert_eq!((settings.net, settings.images, settings.run), ("10.0.0.2/24", "/more", "bb true"));
        assert_eq!(settings.env, ["VIAL_NETWORK=none", "A=1"]);
        let (settings, errors) = Settings::read("vial.nett=x vial.hostname=h", "");
        assert_eq!((settings.hostname, settings.images), ("h", "/images"));
        assert!(errors[0].to_string().contains("unknown setting"), "{}", errors[0]);
    }
}

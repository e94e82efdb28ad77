//! Who is asking: what a registry's challenge says, the token that its token service gives, names and passwords.
//!
//! # Source
//! RFC 9110 section 11 (challenges), RFC 7617 (Basic); docker's "Token Authentication Specification".

use alloc::string::String;

use super::http::{is_plain, is_secure, origin};
use super::{Registry, TEXT};
use crate::base::error::Result;
use crate::base::json::{self, Value};
use crate::base::keep;
use crate::base::text::Cut;
use crate::sys::because;

impl Registry {
    /// Does what a challenge asks for; from then on requests say who is asking.
    #[inline(never)]
    pub(super) fn authenticate(&mut self) -> Result<()> {
        let _why = because!("tell the registry who is asking");
        let challenge = keep::copy(self.client.field("www-authenticate"));
        let scheme = challenge.parts(b' ').next().unwrap_or_default().to_ascii_lowercase();
        if scheme == "basic" && !self.basic.is_empty() {
            self.authorization = self.basic;
            return Ok(());
        }
        let realm = parameter(challenge, "realm");
        // Where it is asked for in the open, everything may be.
        let fits = !origin(realm).is_empty() && (is_secure(realm) || !is_secure(self.base));
        if scheme != "bearer" || !fits {
            return Err(self.refused());
        }
        let mark = if realm.has(b'?') { '&' } else { '?' };
        let mut service = String::new();
        for byte in parameter(challenge, "service").bytes() {
            // What is none of these is a blank, which is written so in a query.
            let plain = byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
            service.push(if plain { char::from(byte) } else { '+' });
        }
        let url = join!("{}{}service={}&scope=repository:{}:pull", realm, mark, service, self.name);
        self.client.ask(url, self.basic)?;
        if self.client.status != 200 {
            return Err(self.refused());
        }
        let answer = json::parse(&self.client.body(TEXT)?).unwrap_or_default();
        let token = answer.get("token").or(answer.get("access_token")).and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() || !is_plain(token) {
            return Err(self.client.wrong(phrase!("no token")));
        }
        self.authorization = join!("Authorization: Bearer {}\n", token);
        Ok(())
    }
}

/// The value of a parameter: `name=value` or `name="value"`, with commas between them; empty if it is not there.
#[must_use]
#[inline(never)]
pub fn parameter<'a>(mut text: &'a str, wanted: &str) -> &'a str {
    while let Some((name, rest)) = text.cut(b'=') {
        let (rest, end) = rest.strip_prefix('"').map_or((rest, b','), |rest| (rest, b'"'));
        let (value, rest) = rest.cut(end).unwrap_or((rest, ""));
        if name.ends_with(wanted) {
            return value;
        }
        text = rest;
    }
    ""
}

/// A text in base 64, RFC 4648 section 4.
pub(super) fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for three in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let letter = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
            encoded.push(if digit > three.len() { '=' } else { char::from(letter) });
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_quoted_and_bare() {
        let text =
            r#"Bearer realm="https://auth.example/token?a=b,c", service="the service",scope=repository:a:pull,x=y"#;
        assert_eq!(parameter(text, "realm"), "https://auth.example/token?a=b,c");
        assert_eq!(parameter(text, "service"), "the service");
        assert_eq!(parameter(text, "scope"), "repository:a:pull");
        for text in ["", "=", "realm", "realm=", "realm=\"", "x=\"realm=y\"", ",,,"] {
            assert_eq!(parameter(text, "realm"), "", "{text}");
        }
        assert_eq!(parameter("realm=\"open", "realm"), "open");
    }

    #[test]
    fn base_64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text), encoded);
        }
        // RFC 7617, section 2.
        assert_eq!(base64("Aladdin:open sesame"), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}

//! Versions of kernels.

use super::text::Cut;

/// The first two numbers of a version such as `6.1.0-42-amd64`; 0 for what is none.
#[must_use]
pub fn version(text: &str) -> (u32, u32) {
    let mut parts = text.parts(b'.').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    });
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(version("6.1.0-42-amd64"), (6, 1));
        assert_eq!((version("5.19-rc3"), version("4.19"), version("10")), ((5, 19), (4, 19), (10, 0)));
        assert_eq!((version(""), version("x.y"), version("99999999999.1")), ((0, 0), (0, 0), (u32::MAX, 1)));
        assert!(version("5.9") < version("5.19"));
    }
}

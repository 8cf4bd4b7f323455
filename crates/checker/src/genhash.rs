//! What `genhash` prints: the MD5 digest of a page's contents. Reading the page is `talk::page`'s work.

use md5::{Digest, Md5};

/// The digest of contents.
pub fn digest(contents: &[u8]) -> [u8; 16] {
    Md5::digest(contents).into()
}

/// A digest as configuration files have it: 32 small hexadecimal digits.
pub fn hex(digest: &[u8; 16]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest from 32 hexadecimal digits; `None` for anything else.
pub fn from_hex(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let mut digest = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    digest.iter_mut().zip(digits.chunks_exact(2)).for_each(|(byte, pair)| *byte = pair[0] << 4 | pair[1]);
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_rfc_1321() {
        let table = [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ];
        for (text, expected) in table {
            assert_eq!(hex(&digest(text.as_bytes())), expected);
            assert_eq!(from_hex(expected), Some(digest(text.as_bytes())));
        }
        assert_eq!(from_hex("d41d"), None);
        assert_eq!(from_hex(&"x".repeat(32)), None);
        assert_eq!(from_hex(&"0".repeat(33)), None);
    }
}

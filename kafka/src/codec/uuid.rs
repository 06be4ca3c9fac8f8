//! Topic ids and other UUIDs.

use std::fmt;

/// 16 bytes; the zero UUID stands for none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// None.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether it stands for none.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

/// As Kafka and its tools write it: 22 characters of URL-safe base64 without padding.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let number = u128::from_be_bytes(self.0);
        let mut text = [0; 22];
        // 21 characters of 6 bits, and one for the last 2 bits.
        for (k, character) in text.iter_mut().enumerate() {
            let bits = if k < 21 { number >> (122 - 6 * k) } else { number << 4 };
            *character = ALPHABET[(bits & 0x3f) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_by_kafka() {
        // java.util: Uuid.METADATA_TOPIC_ID is 0x1, in Kafka's text form as here.
        let mut one = [0; 16];
        one[15] = 1;
        assert_eq!(Uuid(one).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(Uuid([0xff; 16]).to_string(), "_____________________w");
        assert_eq!(Uuid([0xfb; 16]).to_string(), "-_v7-_v7-_v7-_v7-_v7-w");
    }
}

//! Topic ids and other UUIDs.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of the text form: 21 of 6 bits, and one for the last 2 bits.
const CHARACTERS: usize = 22;

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
        let number = u128::from_be_bytes(self.0);
        let mut text = [0; CHARACTERS];
        for (k, character) in text.iter_mut().enumerate() {
            let bits = if k < 21 { number >> (122 - 6 * k) } else { number << 4 };
            *character = ALPHABET[(bits & 0x3f) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

/// A text that is no UUID in Kafka's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not 22 characters of URL-safe base64 that stand for 16 bytes")]
pub struct UuidError;

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        if text.len() != CHARACTERS {
            return Err(UuidError);
        }
        let mut number = 0_u128;
        for (k, character) in text.bytes().enumerate() {
            let bits = ALPHABET.iter().position(|known| *known == character).ok_or(UuidError)? as u128;
            if k < CHARACTERS - 1 {
                number = number << 6 | bits;
            } else if bits & 0xf == 0 {
                number = number << 2 | bits >> 4;
            } else {
                return Err(UuidError);
            }
        }
        Ok(Self(number.to_be_bytes()))
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

    #[test]
    fn they_are_read_as_they_are_written() {
        for seed in 0..200_u128 {
            let uuid = Uuid(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
            assert_eq!(uuid.to_string().parse(), Ok(uuid));
        }
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAAR",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAQA",
            "A+AAAAAAAAAAAAAAAAAAAQ",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(UuidError), "{text}");
        }
    }
}

//! Numbers with a unit: sizes in bytes and durations in milliseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

/// What a kind of quantity is called and which units it is written in.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    /// With its article, as in "is not a size".
    name: &'static str,
    /// What a number without a unit counts.
    base: &'static str,
    /// Unit names with their factor, in ascending order; the first has factor 1.
    units: &'static [(&'static str, u64)],
    example: &'static str,
}

const SIZE: Kind = Kind {
    name: "a size",
    base: "bytes",
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)],
    example: "64 MiB",
};

const DURATION: Kind = Kind {
    name: "a duration",
    base: "milliseconds",
    units: &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    example: "10 min",
};

impl Kind {
    fn parse(&'static self, text: &str) -> Result<u64, ParseQuantityError> {
        let error = || ParseQuantityError { text: text.to_owned(), kind: self };
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            let known = self.units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or_else(error)?.1
        };
        let number = number.parse::<u64>().map_err(|_| error())?;
        number.checked_mul(factor).ok_or_else(error)
    }

    /// Writes `value` in the largest unit that divides it, so that parsing gives `value` back.
    fn write(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor);
        let largest = self.units.iter().rev().find(exact);
        let (name, factor) = largest.expect("every number is divisible by the first unit's factor 1");
        let unit = if value == 0 { self.units[0].0 } else { name };
        write!(f, "{} {unit}", value / factor)
    }
}

/// The text does not say a quantity of the kind that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseQuantityError {
    text: String,
    kind: &'static Kind,
}

impl fmt::Display for ParseQuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kind { name, base, units, example } = self.kind;
        let units: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        write!(
            f,
            "{:?} is not {name}: write a whole number of {base} below 2^64, or one with a unit ({}), such as \"{example}\"",
            self.text,
            units.join(", ")
        )
    }
}

impl std::error::Error for ParseQuantityError {}

/// A TOML value that a quantity can be written as.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string with a number and a unit, or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "Scalar", into = "String")]
        pub struct $name(u64);

        impl FromStr for $name {
            type Err = ParseQuantityError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $kind.parse(text).map(Self)
            }
        }

        impl TryFrom<Scalar> for $name {
            type Error = ParseQuantityError;

            fn try_from(Scalar(text): Scalar) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $kind.write(self.0, f)
            }
        }
    };
}

quantity! {
    /// A size in bytes, written as `"64 MiB"` (B, KiB, MiB, GiB, TiB) or as a whole number of bytes.
    ByteSize, SIZE
}

quantity! {
    /// A duration in milliseconds, written as `"10 min"` (ms, s, min, h, d) or as a whole number of
    /// milliseconds.
    Millis, DURATION
}

impl ByteSize {
    /// A size of `bytes`.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `count` times 1,024 bytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// A size of `count` times 1,048,576 bytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes, for lengths in memory.
    pub const fn as_usize(self) -> usize {
        const { assert!(usize::BITS == 64, "Ringmail runs on 64-bit Linux only") };
        self.0 as usize
    }
}

impl Millis {
    /// A duration of `milliseconds`.
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// A duration of `count` seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(count * 1_000)
    }

    /// The duration in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl From<Millis> for Duration {
    fn from(value: Millis) -> Self {
        Self::from_millis(value.0)
    }
}

/// A bound that can be absent: a quantity, or the word `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "Scalar",
    into = "String",
    bound(serialize = "T: Clone + fmt::Display", deserialize = "T: FromStr<Err = ParseQuantityError>")
)]
pub enum Limit<T> {
    /// No bound.
    Unlimited,
    /// At most this much.
    At(T),
}

impl<T> Limit<T> {
    /// The bound, if there is one.
    pub fn get(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(bound) => Some(bound),
        }
    }
}

impl<T: FromStr<Err = ParseQuantityError>> TryFrom<Scalar> for Limit<T> {
    type Error = String;

    fn try_from(Scalar(text): Scalar) -> Result<Self, Self::Error> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let bound = text.parse::<T>().map(Self::At);
        bound.map_err(|error| format!("{error}, or \"unlimited\""))
    }
}

impl<T: fmt::Display> From<Limit<T>> for String {
    fn from(limit: Limit<T>) -> Self {
        match limit {
            Limit::Unlimited => "unlimited".to_owned(),
            Limit::At(bound) => bound.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("4 KiB", 4096), ("64MiB", 64 << 20), (" 2 gib ", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize::new(bytes)), "{text}");
        }
    }

    #[test]
    fn durations_are_read_with_and_without_a_unit() {
        for (text, millis) in [("250", 250), ("30s", 30_000), ("10 min", 600_000), ("7 d", 604_800_000)] {
            assert_eq!(text.parse(), Ok(Millis::new(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_units() {
        for text in ["", "MiB", "64 MB", "-1", "1.5 GiB", "16777216 TiB", "1 2"] {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains("(B, KiB, MiB, GiB, TiB)"), "{error}");
        }
        let error = "10 minutes".parse::<Millis>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"10 minutes\" is not a duration: write a whole number of milliseconds below 2^64, \
             or one with a unit (ms, s, min, h, d), such as \"10 min\""
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(raw in any::<u64>(), shift in 0u32..64) {
            let raw = raw >> shift << (shift / 2);
            prop_assert_eq!(ByteSize::new(raw).to_string().parse(), Ok(ByteSize::new(raw)));
            prop_assert_eq!(Millis::new(raw).to_string().parse(), Ok(Millis::new(raw)));
        }
    }
}

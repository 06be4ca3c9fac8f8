//! What values a key of a configuration can have, and how they are written.

/// The types of configuration values, with Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// A whole number of 32 bits.
    Int = 3,
    /// A whole number of 16 bits.
    Short = 4,
    /// A whole number of 64 bits.
    Long = 5,
    /// A number.
    Double = 6,
    /// Texts between commas.
    List = 7,
    /// The name of a class of Java.
    Class = 8,
}

/// What values a key can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits within these bounds.
    Int(i32, i32),
    /// A whole number of 64 bits from this one on.
    Long(i64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// At least one of these, between commas.
    SomeOf(&'static [&'static str]),
    /// Replicas, `partition:broker` between commas, or `*` for all; or nothing.
    Replicas,
}

impl Rule {
    /// The type, as Kafka has it.
    pub const fn config_type(self) -> ConfigType {
        match self {
            Self::Boolean => ConfigType::Boolean,
            Self::Int(..) => ConfigType::Int,
            Self::Long(_) => ConfigType::Long,
            Self::Ratio => ConfigType::Double,
            Self::OneOf(_) => ConfigType::String,
            Self::SomeOf(_) | Self::Replicas => ConfigType::List,
        }
    }

    /// Whether it is a value as it is kept.
    pub fn admits(self, value: &str) -> bool {
        self.check(value).is_ok_and(|kept| kept == value)
    }

    /// The value as it is kept: numbers without spaces around, lists without those between.
    ///
    /// # Errors
    /// If it is none: what is to be written instead.
    pub(super) fn check(self, value: &str) -> Result<String, String> {
        let trimmed = value.trim();
        match self {
            Self::Boolean => {
                let lower = trimmed.to_ascii_lowercase();
                matches!(lower.as_str(), "true" | "false").then_some(lower).ok_or("true or false".to_owned())
            }
            Self::Int(least, most) => {
                let number = trimmed.parse::<i32>().ok().filter(|number| (least..=most).contains(number));
                let expected = || match most {
                    i32::MAX => format!("a whole number of 32 bits from {least} on"),
                    most => format!("a whole number from {least} to {most}"),
                };
                number.map(|number| number.to_string()).ok_or_else(expected)
            }
            Self::Long(least) => {
                let number = trimmed.parse::<i64>().ok().filter(|number| *number >= least);
                let expected = || match least {
                    -1 => "a whole number from 0 on, or -1 for no limit".to_owned(),
                    i64::MIN => "a whole number, or -1 for no limit".to_owned(),
                    least => format!("a whole number from {least} on"),
                };
                number.map(|number| number.to_string()).ok_or_else(expected)
            }
            Self::Ratio => {
                let number = trimmed.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
                number.map(|_| trimmed.to_owned()).ok_or_else(|| "a number from 0 to 1".to_owned())
            }
            Self::OneOf(known) if known.contains(&value) => Ok(value.to_owned()),
            Self::OneOf(known) => Err(format!("one of {}", known.join(", "))),
            Self::SomeOf(known) => {
                let parts = list(value);
                let fits = !parts.is_empty() && parts.iter().all(|part| known.contains(part));
                fits.then(|| parts.join(","))
                    .ok_or_else(|| format!("{}, or several with commas", known.join(", ")))
            }
            Self::Replicas => {
                let parts = list(value);
                let fits = parts == ["*"] || parts.iter().all(|part| is_replica(part));
                fits.then(|| parts.join(","))
                    .ok_or_else(|| "*, or partition:broker pairs with commas".to_owned())
            }
        }
    }
}

/// The parts of a list.
pub(super) fn list(value: &str) -> Vec<&str> {
    let value = value.trim();
    if value.is_empty() { Vec::new() } else { value.split(',').map(str::trim).collect() }
}

fn is_replica(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once(':').is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_kafka_takes_them() {
        for (rule, value, kept) in [
            (Rule::Boolean, " TRUE ", "true"),
            (Rule::Int(0, i32::MAX), " 12 ", "12"),
            (Rule::Int(-1, 9), "-1", "-1"),
            (Rule::Long(-1), "9223372036854775807", "9223372036854775807"),
            (Rule::Ratio, "0.25", "0.25"),
            (Rule::OneOf(&["a", "b"]), "b", "b"),
            (Rule::SomeOf(&["compact", "delete"]), "compact, delete", "compact,delete"),
            (Rule::Replicas, "", ""),
            (Rule::Replicas, "*", "*"),
            (Rule::Replicas, "0:1, 2:10", "0:1,2:10"),
        ] {
            assert_eq!(rule.check(value).as_deref(), Ok(kept), "{rule:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (rule, values) in [
            (Rule::Boolean, ["1", "yes", ""].as_slice()),
            (Rule::Int(0, i32::MAX), &["-1", "2147483648", "1.0", "", "1 d"]),
            (Rule::Int(1, 17), &["0", "18"]),
            (Rule::Long(-1), &["-2", "9223372036854775808", "x"]),
            (Rule::Ratio, &["1.01", "-0.1", "NaN", "half"]),
            (Rule::OneOf(&["a", "b"]), &["A", "", "c"]),
            (Rule::SomeOf(&["compact", "delete"]), &["", "shred", "compact,", "compact delete"]),
            (Rule::Replicas, &["0", "0:", "*,0:1", "a:b", ","]),
        ] {
            for value in values {
                assert!(rule.check(value).is_err_and(|words| !words.is_empty()), "{rule:?} {value:?}");
            }
        }
    }
}

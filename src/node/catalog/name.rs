//! Names of topics. The rules are Kafka's, so that every topic can be reached through every protocol.

/// Where groups keep their offsets.
pub const OFFSETS: &str = "__consumer_offsets";

/// Where transactions are kept.
pub const TRANSACTIONS: &str = "__transaction_state";

/// The topics that belong to the broker: it makes them when they are needed, and it alone writes to them.
pub const INTERNAL: [&str; 2] = [OFFSETS, TRANSACTIONS];

/// Whether a topic belongs to the broker.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// What Kafka makes of names where it writes metrics: two topics may not be the same there. `None` for one that is only like
/// itself.
pub(super) fn folded(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

/// Letters of the longest name.
const LONGEST: usize = 249;

/// Whether a topic may have this name.
///
/// # Errors
/// In words, if it may not.
pub(super) fn check(name: &str) -> Result<(), String> {
    const RULE: &str = "write 1 to 249 of a-z A-Z 0-9 . _ -";
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if name.is_empty() {
        return Err(format!("a topic name is empty: {RULE}"));
    }
    if name.len() > LONGEST {
        return Err(format!("a topic name has {} bytes: {RULE}", name.len()));
    }
    if name == "." || name == ".." {
        return Err(format!("{name:?} cannot be a topic name: take another than . and .."));
    }
    match name.chars().find(|letter| !allowed(*letter)) {
        None => Ok(()),
        Some(letter) => Err(format!("the topic name {name:?} contains {letter:?}: {RULE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "orders.eu-1_x", "...", &"x".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "é", "a/b", "a\n", &"x".repeat(250)] {
            assert!(check(name).is_err_and(|words| !words.contains('\n')), "{name}");
        }
    }
}

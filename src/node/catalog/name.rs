//! Names of topics. The rules are Kafka's, so that every topic can be reached through every protocol.

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

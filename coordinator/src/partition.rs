//! Which partition of an internal topic keeps a key: so which coordinator a group or a transactional id has.

/// The partition of `key` in a topic of `partitions` partitions, as Kafka and its tools compute it: from the hash of a Java
/// string, that is of its UTF-16 code units.
///
/// # Panics
/// If there are no partitions.
pub fn partition_for(key: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "an internal topic has partitions");
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    // Kafka's `abs` of the smallest number is 0; that of Java would still be negative.
    hash.checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java_strings() {
        // What `"...".hashCode()` gives in Java, positive and negative.
        for (key, hash) in
            [("", 0), ("a", 97), ("ab", 3105), ("hello", 99_162_322), ("hello world", 1_794_106_052)]
        {
            assert_eq!(partition_for(key, i32::MAX), hash, "{key}");
        }
        // "zzzzzz" has the hash -685,785,664: the absolute value counts.
        assert_eq!(partition_for("zzzzzz", i32::MAX), 685_785_664);
    }

    #[test]
    fn the_smallest_number_has_no_absolute_value() {
        // A well-known string whose hash is -2^31.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("polygenelubricants", i32::MAX), 0);
    }

    #[test]
    fn characters_past_the_first_65_536_count_as_two() {
        // U+1F600 is the units d83d and de00.
        assert_eq!(partition_for("\u{1f600}", i32::MAX), 0xd83d * 31 + 0xde00);
    }

    #[test]
    fn partitions_are_within_the_topic() {
        for partitions in [1, 2, 50, i32::MAX] {
            for key in ["group", "", "zzzzzz", "polygenelubricants", "\u{fc}ber"] {
                assert!((0..partitions).contains(&partition_for(key, partitions)));
            }
        }
    }
}

//! What records hold: bytes that follow from the partition and the record's number, so that a consumer can tell
//! exactly whether it got the right record, whole and in its place, without a copy of what was sent.

/// Content of the records of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    seed: u64,
    value_len: usize,
}

impl Content {
    /// Values of `value_len` bytes for partition `partition`.
    pub fn new(seed: u64, partition: u32, value_len: usize) -> Self {
        Self { seed: mix(seed ^ (u64::from(partition) << 32)), value_len }
    }

    /// Appends the value of record `number` to `out`.
    pub fn append(&self, number: u64, out: &mut Vec<u8>) {
        let end = out.len() + self.value_len;
        for word in self.words(number) {
            let rest = end - out.len();
            out.extend_from_slice(&word[..rest.min(8)]);
            if rest <= 8 {
                break;
            }
        }
    }

    /// Whether `value` is exactly the value of record `number`.
    pub fn matches(&self, number: u64, value: &[u8]) -> bool {
        value.len() == self.value_len
            && value.chunks(8).zip(self.words(number)).all(|(chunk, word)| *chunk == word[..chunk.len()])
    }

    fn words(&self, number: u64) -> impl Iterator<Item = [u8; 8]> + use<> {
        let mut state = mix(self.seed ^ number);
        std::iter::repeat_with(move || {
            state = state.wrapping_add(GOLDEN_RATIO);
            mix(state).to_le_bytes()
        })
    }
}

const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64: every bit of the result depends on every bit of the input.
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(content: &Content, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        content.append(number, &mut out);
        out
    }

    #[test]
    fn a_value_matches_itself_alone() {
        for len in [0, 1, 7, 8, 9, 100, 1024] {
            let content = Content::new(7, 3, len);
            let bytes = value(&content, 41);
            assert_eq!(bytes.len(), len);
            assert!(content.matches(41, &bytes));
            assert!(len == 0 || !content.matches(42, &bytes));
            assert!(len == 0 || !Content::new(7, 4, len).matches(41, &bytes));
            assert!(len == 0 || !Content::new(8, 3, len).matches(41, &bytes));
        }
    }

    #[test]
    fn one_changed_bit_or_byte_is_noticed() {
        let content = Content::new(1, 0, 100);
        let bytes = value(&content, 5);
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(!content.matches(5, &damaged));
        }
        assert!(!content.matches(5, &bytes[..99]));
    }
}

//! Which partition a record goes to.

/// How a producer chooses the partition of a record that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioner {
    /// By the key, as [`partition_of_key`] says; records without a key as by [`Self::RoundRobin`].
    #[default]
    KeyHash,
    /// One partition after another, whatever the key: the next one when a batch is full or under way, so
    /// that batches are large however many partitions there are.
    RoundRobin,
    /// Always this one.
    Fixed(u32),
}

/// The partition of a key among `partitions`: that of the default partitioner of Kafka's clients (murmur2
/// with its sign bit cleared, modulo the number of partitions), so that keys land alike wherever a record
/// comes from.
///
/// # Panics
/// If there are no partitions.
///
/// ```
/// assert_eq!(ringmail_sdk::partition_of_key(b"foobar", 1000), 166);
/// ```
pub fn partition_of_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// The 32-bit MurmurHash2 (Austin Appleby) with the seed that Kafka's clients use.
fn murmur2(data: &[u8]) -> u32 {
    let mut h = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let k = u32::from_le_bytes(word.try_into().expect("the chunks are of 4 bytes")).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ (k ^ (k >> R)).wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (n, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * n);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test (`UtilsTest.testMurmur2`).
    #[test]
    fn the_hash_is_that_of_kafka() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0; 7];
        for n in 0..7000_u32 {
            counts[partition_of_key(&n.to_le_bytes(), 7) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (800..1200).contains(n)), "{counts:?}");
    }
}

//! Which shard a new partition goes to.

use super::ShardId;

/// Shards for `count` new partitions of topic `topic`: each goes where the fewest partitions are; among equals the turn goes
/// round, from a place that depends on the topic, so that many small topics do not all begin on shard 0.
///
/// `loads` has the partitions on each shard so far; shards beyond its end have none.
pub(super) fn place(topic: u64, count: usize, shards: ShardId, loads: &[usize]) -> Vec<ShardId> {
    let shards = usize::from(shards);
    let mut loads: Vec<usize> = (0..shards).map(|shard| loads.get(shard).copied().unwrap_or(0)).collect();
    let mut turn = (mix(topic) % shards as u64) as usize;
    let mut placed = Vec::with_capacity(count);
    for _ in 0..count {
        let order = (0..shards).map(|step| (turn + step) % shards);
        let shard = order.min_by_key(|shard| loads[*shard]).expect("there is at least one shard");
        loads[shard] += 1;
        turn = (shard + 1) % shards;
        placed.push(shard as ShardId);
    }
    placed
}

/// Spreads consecutive ids (the finalizer of splitmix64).
fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shards_take_turns() {
        let mut placed = place(1, 8, 4, &[]);
        assert_eq!(placed[..4], placed[4..]);
        placed.truncate(4);
        placed.sort_unstable();
        assert_eq!(placed, [0, 1, 2, 3]);
    }

    #[test]
    fn the_emptiest_shard_comes_first() {
        assert_eq!(place(7, 3, 3, &[5, 2, 5]), [1, 1, 1]);
        assert_eq!(place(7, 2, 2, &[9]), [1, 1], "a shard that is new has no partitions");
    }

    #[test]
    fn single_partitions_spread_over_the_shards() {
        let firsts: Vec<_> = (1..=64).map(|topic| place(topic, 1, 4, &[])[0]).collect();
        for shard in 0..4 {
            assert!((6..=26).contains(&firsts.iter().filter(|first| **first == shard).count()), "{firsts:?}");
        }
    }
}

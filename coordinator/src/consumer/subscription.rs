//! Which topics the members want, of those that there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringmail_kafka::codec::Uuid;

use super::assign::Topic;
use super::member::MemberMetadata;
use super::pattern::ResolvedPattern;
use crate::machine::Topics;

/// What all members of a group want together.
pub(super) struct Subscriptions {
    /// The topics that at least one of them wants, in order of their ids.
    pub topics: Vec<Topic>,
    /// What each wants, in the order of the members: indexes of topics, ascending. Members that want the same share it.
    pub of: Vec<Arc<[u32]>>,
    /// A digest of the topics and their partitions, 0 for none. It stays the same as long as nothing changes, over restarts.
    pub digest: i64,
}

/// What a member asks for.
type Wish<'a> = (&'a [String], Option<&'a str>);

/// Looks the members' topics up. Those that do not exist are left out, until they do.
pub(super) fn resolve<'a>(
    members: impl Iterator<Item = &'a MemberMetadata>,
    patterns: &BTreeMap<String, ResolvedPattern>,
    topics: &dyn Topics,
) -> Subscriptions {
    let mut ids: BTreeMap<Wish<'a>, Vec<Uuid>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut wishes = Vec::new();
    for member in members {
        let wish: Wish<'a> = (&member.names, member.pattern.as_deref());
        wishes.push(wish);
        ids.entry(wish).or_insert_with(|| {
            let matching = wish.1.and_then(|pattern| patterns.get(pattern));
            let names = wish.0.iter().chain(matching.iter().flat_map(|pattern| pattern.topics.iter()));
            let found: BTreeMap<Uuid, i32> = names.filter_map(|name| topics.topic(name)).collect();
            all.extend(&found);
            found.into_keys().collect()
        });
    }
    let index: BTreeMap<Uuid, u32> = all.keys().copied().zip(0..).collect();
    let of: BTreeMap<Wish<'_>, Arc<[u32]>> =
        ids.into_iter().map(|(wish, ids)| (wish, ids.iter().map(|id| index[id]).collect())).collect();
    Subscriptions {
        digest: digest(&all),
        topics: all.into_iter().map(|(id, partitions)| Topic { id, partitions }).collect(),
        of: wishes.iter().map(|wish| of[wish].clone()).collect(),
    }
}

/// FNV-1a over ids and numbers of partitions.
fn digest(topics: &BTreeMap<Uuid, i32>) -> i64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    if topics.is_empty() {
        return 0;
    }
    let bytes = topics.iter().flat_map(|(id, partitions)| id.0.into_iter().chain(partitions.to_be_bytes()));
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // 0 is what a group without topics has.
    hash.max(1) as i64
}

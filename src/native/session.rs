//! What the native protocol knows of a connection.

use std::collections::BTreeMap;

use crate::node::slab::Key;

/// What the native protocol knows of a connection.
#[derive(Debug, Default)]
pub struct Session {
    /// Its fetches that are not answered.
    pub(super) fetches: Vec<Key>,
    /// By the ids that the client has chosen; in their order, so that they always end in the same one.
    pub(super) subscriptions: BTreeMap<u32, Key>,
    /// Subscriptions that wait for output to be taken.
    pub(super) blocked: Vec<Key>,
}

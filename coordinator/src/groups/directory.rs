//! All groups by their names, and when each is due.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use super::settings::MAX_GROUPS;

#[derive(Debug)]
struct Entry {
    group: Group,
    /// As it stands among those that are due.
    due_ms: Option<u64>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    groups: BTreeMap<String, Entry>,
    due: BTreeSet<(u64, String)>,
}

impl Directory {
    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id).map(|entry| &entry.group)
    }

    /// A group that is going to change; [`Directory::settle`] is to be called then.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.groups.get_mut(id).map(|entry| &mut entry.group)
    }

    /// Adds a group, or puts it in the place of the one of that name; [`Directory::settle`] is to be called then.
    pub(crate) fn insert(&mut self, id: &str, group: Group) {
        self.remove(id);
        self.groups.insert(id.to_owned(), Entry { group, due_ms: None });
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Group> {
        let Entry { group, due_ms } = self.groups.remove(id)?;
        if let Some(at) = due_ms {
            self.due.remove(&(at, id.to_owned()));
        }
        Some(group)
    }

    /// A group may have changed: notes when it is due.
    pub(crate) fn settle(&mut self, id: &str) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        let due_ms = entry.group.next_deadline();
        if entry.due_ms == due_ms {
            return;
        }
        if let Some(at) = std::mem::replace(&mut entry.due_ms, due_ms) {
            self.due.remove(&(at, id.to_owned()));
        }
        self.due.extend(due_ms.map(|at| (at, id.to_owned())));
    }

    /// Whether there is no room for another group.
    pub(crate) fn is_full(&self) -> bool {
        self.groups.len() >= MAX_GROUPS
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(id, entry)| (id.as_str(), &entry.group))
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }

    /// The group that comes after a name.
    pub(crate) fn after(&self, id: Option<&str>) -> Option<&str> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = id.map_or(Unbounded, Excluded);
        self.groups.range::<str, _>((start, Unbounded)).next().map(|(id, _)| id.as_str())
    }

    /// Those that are due.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<String> {
        self.due.iter().take_while(|(at, _)| *at <= now_ms).map(|(_, id)| id.clone()).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }
}

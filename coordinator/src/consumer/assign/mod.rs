//! Who gets which partitions.

mod range;
mod uniform;

use std::sync::Arc;

use ringmail_kafka::codec::Uuid;

use super::Partitions;

/// A topic that members want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: Uuid,
    /// The number of its partitions.
    pub partitions: i32,
}

/// A member that is to get partitions.
#[derive(Debug, Clone)]
pub struct Subscriber<'a> {
    /// What it is called.
    pub id: &'a str,
    /// Of a static member.
    pub instance: Option<&'a str>,
    /// Indexes of the topics it wants, ascending.
    pub topics: Arc<[u32]>,
    /// What it was to have so far.
    pub held: &'a Partitions,
}

/// A way to assign partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// As balanced as the subscriptions allow, and otherwise as little movement as possible.
    Uniform,
    /// Neighbouring partitions of each topic; the same numbers of several topics for the same member where all want the same
    /// topics and these have as many partitions.
    Range,
}

impl Assignor {
    /// All of them; the first one is taken if no member says which.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The one of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each is to have, in the order of the members. `topics` are in the order of their ids.
    pub fn assign(self, topics: &[Topic], members: &[Subscriber<'_>]) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform::assign(topics, members),
            Self::Range => range::assign(topics, members),
        }
    }
}

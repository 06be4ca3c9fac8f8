//! What can happen to the catalog. The serialized form is stored; fields are added, never renamed.

use std::fmt;

use ringmail_wire::protocol::LogId;
use serde::{Deserialize, Serialize};

use super::{Partition, Topic, TopicConfig};

/// One step of the catalog: everything that was decided, so that applying it needs no decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A topic came to be.
    Created {
        /// Its name.
        name: String,
        /// The rest of it.
        topic: Topic,
    },
    /// A topic got another configuration, or more partitions.
    Altered {
        /// Its name.
        name: String,
        /// All of its configuration from now on.
        config: TopicConfig,
        /// Partitions that come after those there were.
        added: Vec<Partition>,
    },
    /// A topic and its records went.
    Deleted {
        /// Its name.
        name: String,
    },
    /// Owners have said that nothing is left of these deleted logs.
    Dropped {
        /// The logs.
        logs: Vec<LogId>,
    },
    /// Ids for producers were given out.
    ProducerIds {
        /// The first of them.
        first: u64,
        /// How many.
        count: u32,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { name, topic } => {
                write!(f, "topic {name} created with {} partitions", topic.partitions.len())
            }
            Self::Altered { name, added, .. } => {
                write!(f, "topic {name} altered, {} partitions added", added.len())
            }
            Self::Deleted { name } => write!(f, "topic {name} deleted"),
            Self::ProducerIds { first, count } => {
                write!(f, "{count} producer ids given out, from {first} on")
            }
            Self::Dropped { logs } => write!(f, "nothing is left of {} deleted partitions", logs.len()),
        }
    }
}

//! Managing topics, blocking.

use super::runtime::Runtime;
use crate::{Error, OffsetQuery, TopicCreated, TopicDescription, TopicSummary};

/// Creates, changes, describes and deletes topics; as [`crate::Admin`].
#[derive(Debug, Clone)]
pub struct Admin {
    admin: crate::Admin,
    runtime: Runtime,
}

impl Admin {
    pub(super) fn new(admin: crate::Admin, runtime: Runtime) -> Self {
        Self { admin, runtime }
    }

    /// As [`crate::Admin::create_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        settings: &[(&str, &str)],
    ) -> Result<TopicCreated, Error> {
        self.runtime.block_on(self.admin.create_topic(name, partitions, settings))
    }

    /// As [`crate::Admin::alter_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn alter_topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) -> Result<(), Error> {
        self.runtime.block_on(self.admin.alter_topic(name, partitions, settings))
    }

    /// As [`crate::Admin::delete_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_topic(&self, name: &str) -> Result<(), Error> {
        self.runtime.block_on(self.admin.delete_topic(name))
    }

    /// As [`crate::Admin::list_topics`].
    ///
    /// # Errors
    /// As there.
    pub fn list_topics(&self) -> Result<Vec<TopicSummary>, Error> {
        self.runtime.block_on(self.admin.list_topics())
    }

    /// As [`crate::Admin::describe_topic`].
    ///
    /// # Errors
    /// As there.
    pub fn describe_topic(&self, name: &str) -> Result<TopicDescription, Error> {
        self.runtime.block_on(self.admin.describe_topic(name))
    }

    /// As [`crate::Admin::list_offsets`].
    ///
    /// # Errors
    /// As there.
    pub fn list_offsets(&self, topic: &str, queries: &[(u32, OffsetQuery)]) -> Result<Vec<u64>, Error> {
        self.runtime.block_on(self.admin.list_offsets(topic, queries))
    }

    /// As [`crate::Admin::delete_records`].
    ///
    /// # Errors
    /// As there.
    pub fn delete_records(&self, topic: &str, partition: u32, before: u64) -> Result<u64, Error> {
        self.runtime.block_on(self.admin.delete_records(topic, partition, before))
    }
}

//! ApiVersions: how clients find out what they talk to.

use ringmail_kafka::api::Api;
use ringmail_kafka::versions::{Feature, Offer};

use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;

/// What is offered: every one of them has a handler.
pub(super) const OFFERED: &[Api] = &[
    Api::Produce,
    Api::Fetch,
    Api::ListOffsets,
    Api::Metadata,
    Api::SaslHandshake,
    Api::ApiVersions,
    Api::SaslAuthenticate,
    Api::DescribeCluster,
    Api::CreateTopics,
    Api::DeleteTopics,
    Api::DeleteRecords,
    Api::DescribeConfigs,
    Api::AlterConfigs,
    Api::DescribeLogDirs,
    Api::CreatePartitions,
    Api::ElectLeaders,
    Api::IncrementalAlterConfigs,
    Api::AlterPartitionReassignments,
    Api::ListPartitionReassignments,
    Api::ListConfigResources,
    Api::DescribeTopicPartitions,
    Api::FindCoordinator,
    Api::InitProducerId,
    Api::OffsetForLeaderEpoch,
    Api::DescribeProducers,
    // What coordinators answer.
    Api::OffsetCommit,
    Api::OffsetFetch,
    Api::JoinGroup,
    Api::Heartbeat,
    Api::LeaveGroup,
    Api::SyncGroup,
    Api::DescribeGroups,
    Api::ListGroups,
    Api::AddPartitionsToTxn,
    Api::AddOffsetsToTxn,
    Api::EndTxn,
    Api::TxnOffsetCommit,
    Api::DeleteGroups,
    Api::OffsetDelete,
    Api::DescribeTransactions,
    Api::ListTransactions,
    Api::ConsumerGroupHeartbeat,
    Api::ConsumerGroupDescribe,
];

/// Transactions whose partitions are added by producing to them (KIP-890), and groups whose members are assigned by the broker
/// (KIP-848).
const FEATURES: &[Feature] = &[
    Feature { name: "group.version", min: 0, max: 1, finalized: 1 },
    Feature { name: "transaction.version", min: 0, max: 2, finalized: 2 },
];

const OFFER: Offer<'_> = Offer { apis: OFFERED, features: FEATURES, features_epoch: 1 };

impl Sessions<'_> {
    pub(super) fn api_versions(&mut self, request: &Request<'_>) -> Result<Handled, Refused> {
        let mut answer = Vec::new();
        OFFER.answer(&request.header, request.body, &mut answer)?;
        self.answer_with(&request.reply, |output| output.copied().extend_from_slice(&answer));
        Ok(Handled::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table of APIs.
    fn rows(readme: &str) -> Vec<String> {
        let table = readme.split_once("| key | API | versions |\n").expect("the table is there").1;
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        rows.map(str::to_owned).collect()
    }

    #[test]
    fn the_readme_lists_what_is_offered() {
        let mut offered = OFFERED.to_vec();
        offered.sort_unstable_by_key(|api| api.key());
        offered.dedup();
        assert_eq!(offered.len(), OFFERED.len(), "each is offered once");
        let row = |api: &Api| {
            let info = api.info();
            format!("| {} | {} | {}-{} |", info.key, info.name, info.first_offered, info.last)
        };
        assert_eq!(rows(include_str!("../../README.md")), offered.iter().map(row).collect::<Vec<_>>());
    }
}

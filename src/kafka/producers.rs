//! DescribeProducers: who has written to partitions of late, and whose transactions are open there.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::transactions::{
    DescribeProducersRequest, DescribeProducersResponse, DescribedProducersPartition,
    DescribedProducersTopic, ProducerState,
};
use ringmail_shards::api::{Answer, ProducerInfo, ReadError};

use super::error;
use super::placement::partition_of;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// A request whose partitions come one by one.
#[derive(Debug)]
pub(super) struct Describing {
    reply: Reply,
    topics: Vec<DescribedProducersTopic<'static>>,
    /// By part, where its answer goes: topic, and place in it.
    places: Vec<(usize, usize)>,
    outstanding: usize,
}

impl Sessions<'_> {
    pub(super) fn describe_producers(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DescribeProducersRequest::decode(request.header.version, request.body)?;
        let (mut topics, mut places, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for topic in &wanted.topics {
            let mut partitions = Vec::new();
            for partition_index in topic.partitions.iter().copied() {
                let mut described =
                    DescribedProducersPartition { partition_index, ..DescribedProducersPartition::default() };
                match partition_of(&topic.name, partition_index, logs) {
                    Some(partition) => {
                        places.push((topics.len(), partitions.len()));
                        found.push(partition.log);
                    }
                    None => described.error_code = ErrorCode::UnknownTopicOrPartition.number(),
                }
                partitions.push(described);
            }
            topics.push(DescribedProducersTopic { name: topic.name.to_string().into(), partitions });
        }
        self.weigh(&request.reply, found.len());
        // One more, so that it does not end while questions are asked.
        let outstanding = found.len() + 1;
        let describing = Describing { reply: request.reply, topics, places, outstanding };
        let key = self.own.describings.insert(describing);
        for (part, log) in (0..).zip(found) {
            let waiter = Waiter::Producers { describing: key, part };
            if let Answer::Now(result) = logs.producers(log, Caller::Kafka(waiter)) {
                self.producers_known(key, part, result);
            }
        }
        self.producers_done(key);
        Ok(Handled::Done)
    }

    /// The producers of a partition are known.
    pub(super) fn producers_known(
        &mut self,
        key: Key,
        part: u32,
        result: Result<Vec<ProducerInfo>, ReadError>,
    ) {
        let Some(describing) = self.own.describings.get_mut(key) else { return };
        let (topic, place) = describing.places[part as usize];
        let described = &mut describing.topics[topic].partitions[place];
        match result {
            Ok(producers) => described.active_producers = producers.into_iter().map(state).collect(),
            Err(failed) => described.error_code = error::of_read(&failed).number(),
        }
        self.producers_done(key);
    }

    fn producers_done(&mut self, key: Key) {
        let Some(describing) = self.own.describings.get_mut(key) else { return };
        describing.outstanding -= 1;
        if describing.outstanding == 0
            && let Some(Describing { reply, topics, .. }) = self.own.describings.remove(key)
        {
            self.answer(&reply, &DescribeProducersResponse { throttle_time_ms: 0, topics });
        }
    }
}

fn state(producer: ProducerInfo) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch.into(),
        last_sequence: producer.last_sequence.unwrap_or(-1),
        last_timestamp: producer.last_timestamp.unwrap_or(-1),
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_start.map_or(-1, |offset| offset as i64),
    }
}

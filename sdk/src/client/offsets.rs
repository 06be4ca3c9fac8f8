//! Asking for offsets: each question goes to the shard that owns its partition.

use std::collections::BTreeMap;

use ringmail_wire::protocol::{ErrorCode, ListOffsetsQuery, ListOffsetsRequest, OffsetQuery};

use super::{Client, Topic};
use crate::Error;
use crate::core::BrokerError;

impl Client {
    /// Offsets of partitions of a topic, in the order of the questions.
    pub(crate) async fn list_offsets(
        &self,
        topic: &str,
        queries: &[(u32, OffsetQuery)],
    ) -> Result<Vec<u64>, Error> {
        let known = self.topic(topic).await?;
        match self.ask(&known, queries).await {
            Err(error) if error.code() == Some(ErrorCode::UnknownPartition) => {
                let fresh = self.refresh(topic).await?;
                self.ask(&fresh, queries).await
            }
            result => result,
        }
    }

    async fn ask(&self, topic: &Topic, queries: &[(u32, OffsetQuery)]) -> Result<Vec<u64>, Error> {
        let mut by_shard: BTreeMap<u16, (Vec<usize>, Vec<ListOffsetsQuery>)> = BTreeMap::new();
        for (place, (partition, query)) in queries.iter().enumerate() {
            let owner = topic.partition(*partition)?;
            let (places, questions) = by_shard.entry(owner.shard).or_default();
            places.push(place);
            questions.push(ListOffsetsQuery { log: owner.log, query: *query });
        }
        let mut offsets = vec![0; queries.len()];
        for (shard, (places, questions)) in by_shard {
            let request = ListOffsetsRequest { queries: questions };
            let reply = self.call_shard(shard, &request, true).await?;
            let answers = reply.decode()?.offsets;
            if answers.len() != places.len() {
                return Err(Error::AnswerMismatch { asked: places.len(), answered: answers.len() });
            }
            for (place, answer) in places.into_iter().zip(answers) {
                if answer.code != 0 {
                    let code = ErrorCode::from_number(answer.code);
                    let message =
                        format!("the offset of topic `{}` partition {}", topic.name, queries[place].0);
                    return Err(BrokerError { code, message }.into());
                }
                offsets[place] = answer.offset;
            }
        }
        Ok(offsets)
    }
}

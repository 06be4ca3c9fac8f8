//! DescribeTransactions and ListTransactions, of one coordinator: the host puts the answers of several together.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Response;
use ringmail_kafka::messages::transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction, ListTransactionsRequest,
    ListTransactionsResponse, ListedTransaction, TxnTopic,
};

use super::Transactions;
use super::answer::Asker;
use super::state::{State, Transaction};
use crate::consumer::pattern;
use crate::machine::{Effects, Now};

/// States that Kafka has besides, and that are never stored: to ask for them is no mistake.
const PASSING_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];

impl Transactions {
    pub(super) fn describe(
        &self,
        asker: Asker,
        request: &DescribeTransactionsRequest<'_>,
        effects: &mut Effects,
    ) {
        let response = DescribeTransactionsResponse {
            throttle_time_ms: 0,
            transaction_states: request.transactional_ids.iter().map(|id| self.described(id)).collect(),
        };
        effects.answers.push((asker.call, Response::DescribeTransactions(response)));
    }

    fn described(&self, id: &str) -> DescribedTransaction<'static> {
        let refused = |code: ErrorCode| DescribedTransaction {
            error_code: code.number(),
            transactional_id: id.to_owned().into(),
            ..DescribedTransaction::default()
        };
        if id.is_empty() {
            return refused(ErrorCode::InvalidRequest);
        }
        let Some(stored) = self.ids.get(id).and_then(|entry| entry.stored.as_ref()) else {
            return refused(ErrorCode::TransactionalIdNotFound);
        };
        let topic = |(name, partitions): (&String, &std::collections::BTreeSet<i32>)| TxnTopic {
            name: name.clone().into(),
            partitions: partitions.iter().copied().collect(),
        };
        DescribedTransaction {
            error_code: 0,
            transactional_id: id.to_owned().into(),
            transaction_state: stored.state.name().into(),
            transaction_timeout_ms: stored.timeout_ms,
            transaction_start_time_ms: stored.started_ms,
            producer_id: stored.producer.id,
            producer_epoch: stored.producer.epoch,
            topics: stored.partitions.iter().map(topic).collect(),
        }
    }

    pub(super) fn list(
        &self,
        asker: Asker,
        request: &ListTransactionsRequest<'_>,
        now: Now,
        effects: &mut Effects,
    ) {
        let response = self.listed(request, now).unwrap_or_else(|code| ListTransactionsResponse {
            error_code: code.number(),
            ..ListTransactionsResponse::default()
        });
        effects.answers.push((asker.call, Response::ListTransactions(response)));
    }

    fn listed(
        &self,
        request: &ListTransactionsRequest<'_>,
        now: Now,
    ) -> Result<ListTransactionsResponse<'static>, ErrorCode> {
        let wanted = request.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
        let wanted = wanted.map(|pattern| pattern::whole(pattern).ok_or(ErrorCode::InvalidRegularExpression));
        let wanted = wanted.transpose()?;
        let state_of = |name: &str| State::ALL.into_iter().find(|state| state.name() == name);
        let is_unknown = |name: &&str| state_of(name).is_none() && !PASSING_STATES.contains(name);
        let names = || request.state_filters.iter().map(|name| &**name);
        let matches = |stored: &Transaction| {
            let age_ms = now.wall_ms.saturating_sub(stored.started_ms);
            (request.state_filters.is_empty() || names().any(|name| name == stored.state.name()))
                && (request.producer_id_filters.is_empty()
                    || request.producer_id_filters.contains(&stored.producer.id))
                && (request.duration_filter < 0 || age_ms > request.duration_filter)
        };
        let mut response = ListTransactionsResponse {
            unknown_state_filters: names().filter(is_unknown).map(|name| name.to_owned().into()).collect(),
            ..ListTransactionsResponse::default()
        };
        let is_wanted = |id| wanted.as_ref().is_none_or(|pattern| pattern.is_match(id));
        for (id, stored) in self.stored().filter(|(id, stored)| matches(stored) && is_wanted(id)) {
            response.transaction_states.push(ListedTransaction {
                transactional_id: id.to_owned().into(),
                producer_id: stored.producer.id,
                transaction_state: stored.state.name().into(),
            });
        }
        Ok(response)
    }
}

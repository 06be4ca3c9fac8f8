//! The answers of several coordinators as one.

use ringmail_kafka::messages::Response;

/// Adds what another coordinator has answered. An error for all of it outweighs success.
pub(super) fn merge(all: &mut Response<'static>, part: Response<'static>) {
    match (all, part) {
        (Response::OffsetFetch(all), Response::OffsetFetch(part)) => all.groups.extend(part.groups),
        (Response::DescribeGroups(all), Response::DescribeGroups(part)) => all.groups.extend(part.groups),
        (Response::ConsumerGroupDescribe(all), Response::ConsumerGroupDescribe(part)) => {
            all.groups.extend(part.groups);
        }
        (Response::DeleteGroups(all), Response::DeleteGroups(part)) => all.results.extend(part.results),
        (Response::DescribeTransactions(all), Response::DescribeTransactions(part)) => {
            all.transaction_states.extend(part.transaction_states);
        }
        (Response::AddPartitionsToTxn(all), Response::AddPartitionsToTxn(part)) => {
            all.error_code = worse(all.error_code, part.error_code);
            all.results_by_transaction.extend(part.results_by_transaction);
        }
        (Response::ListGroups(all), Response::ListGroups(part)) => {
            all.error_code = worse(all.error_code, part.error_code);
            all.groups.extend(part.groups);
        }
        (Response::ListTransactions(all), Response::ListTransactions(part)) => {
            all.error_code = worse(all.error_code, part.error_code);
            all.unknown_state_filters = part.unknown_state_filters;
            all.transaction_states.extend(part.transaction_states);
        }
        (all, part) => debug_assert!(false, "{part:?} is no part of {all:?}"),
    }
}

fn worse(all: i16, part: i16) -> i16 {
    if all == 0 { part } else { all }
}

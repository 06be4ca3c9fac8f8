//! DescribeTransactions and ListTransactions.

use ringmail_coordinator::machine::Producer;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::transactions::*;
use ringmail_kafka::messages::{Request, Response};

use crate::host::{Hold, Host, START_WALL_MS, TIMEOUT_MS, code, init_request};

fn describe(host: &mut Host, ids: &[&'static str]) -> Vec<DescribedTransaction<'static>> {
    let transactional_ids = ids.iter().map(|id| (*id).into()).collect();
    let call = host.ask(0, Request::DescribeTransactions(DescribeTransactionsRequest { transactional_ids }));
    let Some(Response::DescribeTransactions(response)) = host.answers.remove(&call) else {
        panic!("no answer")
    };
    response.transaction_states
}

fn list(
    host: &mut Host,
    request: ListTransactionsRequest<'static>,
) -> (Vec<String>, ListTransactionsResponse<'static>) {
    let call = host.ask(2, Request::ListTransactions(request));
    let Some(Response::ListTransactions(response)) = host.answers.remove(&call) else { panic!("no answer") };
    let ids = response.transaction_states.iter().map(|listed| listed.transactional_id.to_string()).collect();
    (ids, response)
}

/// One that is empty, one that is open, one that is decided, and one that is over.
fn four() -> (Host, [Producer; 4]) {
    let mut host = Host::new();
    let producers = ["empty", "open", "decided", "over"].map(|id| host.init(id).unwrap());
    host.pass(1000);
    assert_eq!(host.add("over", producers[3], &[("a", 0)]), ErrorCode::None);
    assert_eq!(host.end(4, "over", producers[3], false), Ok(producers[3]));
    host.pass(1000);
    assert_eq!(host.add("open", producers[1], &[("b", 2), ("a", 3), ("a", 0)]), ErrorCode::None);
    assert_eq!(host.add("decided", producers[2], &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { markers: true, ..Hold::default() };
    assert_eq!(host.end(4, "decided", producers[2], true), Ok(producers[2]));
    (host, producers)
}

#[test]
fn a_transaction_is_described() {
    let (mut host, producers) = four();
    let described = describe(&mut host, &["open", "over", "unknown", ""]);
    let topic = |name: &'static str, partitions: &[i32]| TxnTopic {
        name: name.into(),
        partitions: partitions.to_vec(),
    };
    let open = DescribedTransaction {
        error_code: 0,
        transactional_id: "open".into(),
        transaction_state: "Ongoing".into(),
        transaction_timeout_ms: TIMEOUT_MS,
        transaction_start_time_ms: START_WALL_MS + 2000,
        producer_id: producers[1].id,
        producer_epoch: producers[1].epoch,
        topics: vec![topic("a", &[0, 3]), topic("b", &[2])],
    };
    assert_eq!(described[0], open);
    assert_eq!((&*described[1].transaction_state, described[1].topics.len()), ("CompleteAbort", 0));
    let errors = described[2..].iter().map(|described| code(described.error_code)).collect::<Vec<_>>();
    assert_eq!(errors, [ErrorCode::TransactionalIdNotFound, ErrorCode::InvalidRequest]);
    assert_eq!(described[2].transactional_id, "unknown");
}

#[test]
fn what_is_not_stored_yet_is_not_there() {
    let mut host = Host::new();
    host.hold = Hold { producer_ids: true, ..Hold::default() };
    host.ask(5, init_request("t", TIMEOUT_MS, None));
    assert_eq!(code(describe(&mut host, &["t"])[0].error_code), ErrorCode::TransactionalIdNotFound);
    assert!(
        list(&mut host, ListTransactionsRequest { duration_filter: -1, ..Default::default() }).0.is_empty()
    );
}

#[test]
fn transactions_are_listed() {
    let (mut host, producers) = four();
    let (ids, response) =
        list(&mut host, ListTransactionsRequest { duration_filter: -1, ..Default::default() });
    assert_eq!(ids, ["decided", "empty", "open", "over"]);
    let states: Vec<&str> =
        response.transaction_states.iter().map(|listed| &*listed.transaction_state).collect();
    assert_eq!(states, ["PrepareCommit", "Empty", "Ongoing", "CompleteAbort"]);
    let producer_ids: Vec<i64> =
        response.transaction_states.iter().map(|listed| listed.producer_id).collect();
    assert_eq!(producer_ids, [2, 0, 1, 3].map(|k: usize| producers[k].id));
}

#[test]
fn filters_are_all_to_be_met() {
    let (mut host, producers) = four();
    let all = ListTransactionsRequest { duration_filter: -1, ..Default::default() };
    let states = |names: &[&'static str]| names.iter().map(|name| (*name).into()).collect();

    let request = ListTransactionsRequest {
        state_filters: states(&["Ongoing", "Empty", "Nonsense", "Dead"]),
        ..all.clone()
    };
    let (ids, response) = list(&mut host, request);
    assert_eq!(ids, ["empty", "open"]);
    assert_eq!(response.unknown_state_filters, ["Nonsense"]);

    let (ids, _) =
        list(&mut host, ListTransactionsRequest { state_filters: states(&["Nonsense"]), ..all.clone() });
    assert!(ids.is_empty(), "what nobody can be in nobody is in");

    let request = ListTransactionsRequest {
        producer_id_filters: vec![producers[3].id, producers[1].id, 5],
        ..all.clone()
    };
    assert_eq!(list(&mut host, request.clone()).0, ["open", "over"]);
    let both = ListTransactionsRequest { state_filters: states(&["Ongoing"]), ..request };
    assert_eq!(list(&mut host, both).0, ["open"]);

    host.pass(500);
    // One that never began is older than any.
    let (ids, _) = list(&mut host, ListTransactionsRequest { duration_filter: 500, ..all.clone() });
    assert_eq!(ids, ["empty", "over"]);
    let (ids, _) = list(&mut host, ListTransactionsRequest { duration_filter: 499, ..all });
    assert_eq!(ids, ["decided", "empty", "open", "over"]);
}

#[test]
fn a_pattern_matches_whole_transactional_ids() {
    let (mut host, _) = four();
    let with = |pattern: &'static str| ListTransactionsRequest {
        duration_filter: -1,
        transactional_id_pattern: Some(pattern.into()),
        ..Default::default()
    };
    assert_eq!(list(&mut host, with("o.*")).0, ["open", "over"]);
    assert_eq!(list(&mut host, with("o|empty")).0, ["empty"]);
    assert_eq!(list(&mut host, with("")).0.len(), 4);
    let (ids, response) = list(&mut host, with("o("));
    assert_eq!((ids.len(), code(response.error_code)), (0, ErrorCode::InvalidRegularExpression));
}

//! Coordinators over logs whose disk does at once what it is told, but not before.

use bytes::Bytes;
use ringmail_kafka::api::Api;
use ringmail_kafka::codec::Str;
use ringmail_kafka::messages::offsets::*;
use ringmail_kafka::messages::{Request, Response};

use super::*;
use crate::node::logs::tests::{LOG, drive, logs_with_topic};

const VERSION: i16 = 9;

fn ask(coordinators: &mut Coordinators, logs: &mut Logs, request: Request<'_>) {
    let (api, mut body) = (request.api(), Vec::new());
    let version = if api == Api::OffsetFetch { 7 } else { VERSION };
    request.encode(version, &mut body);
    let question = CoordinatorQuestion {
        log: LOG,
        api,
        version,
        client_id: "test".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        body: Bytes::from(body),
    };
    logs.coordinate(question, Caller::Keeper);
    turn(coordinators, logs);
}

fn turn(coordinators: &mut Coordinators, logs: &mut Logs) {
    while coordinators.go_on(logs) {}
}

/// Has the disk do its work; gives the answers to requests.
fn answers(coordinators: &mut Coordinators, logs: &mut Logs) -> Vec<Response<'static>> {
    let mut answers = Vec::new();
    for _ in 0..3 {
        drive(logs);
        while let Some((caller, outcome)) = logs.next_outcome() {
            match (caller, outcome) {
                (Caller::Coordinator(waiter), outcome) => coordinators.outcome(waiter, outcome, logs),
                (_, Outcome::Coordinated(response)) => answers.push(*response),
                (caller, outcome) => panic!("{caller:?}: {outcome:?}"),
            }
        }
        turn(coordinators, logs);
    }
    answers
}

fn commit(offset: i64) -> Request<'static> {
    let partition = OffsetCommitPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitTopic { name: Str::from(OFFSETS), partitions: vec![partition], ..Default::default() };
    Request::OffsetCommit(OffsetCommitRequest {
        group_id: Str::from("g"),
        topics: vec![topic],
        ..Default::default()
    })
}

fn fetch() -> Request<'static> {
    let topic =
        OffsetFetchTopic { name: Str::from(OFFSETS), partition_indexes: vec![0], ..Default::default() };
    let topics = Some(vec![topic]);
    Request::OffsetFetch(OffsetFetchRequest { group_id: Str::from("g"), topics, ..Default::default() })
}

fn fetched(answers: &[Response<'_>]) -> i64 {
    match answers {
        [Response::OffsetFetch(answer)] => answer.topics[0].partitions[0].committed_offset,
        answers => panic!("{answers:?}"),
    }
}

fn opened(logs: &mut Logs) -> Coordinators {
    let mut coordinators = Coordinators::new(CoordinatorSettings::default(), 7);
    turn(&mut coordinators, logs);
    coordinators
}

#[test]
fn an_offset_is_confirmed_once_it_is_durable_and_is_there_after_a_restart() {
    let mut logs = logs_with_topic(OFFSETS, 0, 0);
    let mut coordinators = opened(&mut logs);
    ask(&mut coordinators, &mut logs, commit(42));
    ask(&mut coordinators, &mut logs, fetch());
    assert!(logs.next_outcome().is_none(), "what is not durable is not told, not to others either");
    let told = answers(&mut coordinators, &mut logs);
    assert!(
        matches!(&told[0], Response::OffsetCommit(answer) if answer.topics[0].partitions[0].error_code == 0)
    );
    assert_eq!(fetched(&told[1..]), 42);
    assert_eq!(coordinators.usage(), (0, 0));

    let mut again = opened(&mut logs);
    ask(&mut again, &mut logs, fetch());
    assert_eq!(fetched(&answers(&mut again, &mut logs)), 42);
}

#[test]
fn who_asks_while_the_broker_goes_down_is_told_so() {
    let mut logs = logs_with_topic(OFFSETS, 0, 0);
    let mut coordinators = opened(&mut logs);
    ask(&mut coordinators, &mut logs, commit(1));
    coordinators.drain(&mut logs);
    ask(&mut coordinators, &mut logs, commit(2));
    let told = answers(&mut coordinators, &mut logs);
    let code = ErrorCode::CoordinatorNotAvailable.number();
    for answer in &told {
        assert!(matches!(answer, Response::OffsetCommit(a) if a.topics[0].partitions[0].error_code == code));
    }
    assert_eq!((told.len(), coordinators.usage()), (2, (0, 0)));
}

//! What a restart finds: all that was promised, and what was decided goes on.

use ringmail_coordinator::machine::{Machine, Producer, Replayed};
use ringmail_coordinator::transactions::{State, Transactions};
use ringmail_kafka::error::ErrorCode;

use crate::host::{Hold, Host, TIMEOUT_MS, add_request, end_request, init_request};

#[test]
fn all_that_is_stored_is_found_again() {
    let mut host = Host::new();
    let (t, u) = (host.init("t").unwrap(), host.init("u").unwrap());
    assert_eq!(host.add("t", t, &[("a", 0), ("b", 3)]), ErrorCode::None);
    assert_eq!(host.add("u", u, &[("a", 1)]), ErrorCode::None);
    assert_eq!(host.end(5, "u", u, true), Ok(Producer { epoch: 1, ..u }));
    let before: Vec<_> = host.machine.stored().map(|(id, stored)| (id.to_owned(), stored.clone())).collect();
    host.restart();
    let after: Vec<_> = host.machine.stored().map(|(id, stored)| (id.to_owned(), stored.clone())).collect();
    assert_eq!(before, after);
    assert_eq!(host.end(4, "t", t, true), Ok(t));
}

#[test]
fn what_was_not_durable_never_was() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    host.hold = Hold { sync: true, ..Hold::default() };
    let call = host.ask(4, end_request("t", producer, true));
    host.restart();
    host.release();
    assert!(!host.answers.contains_key(&call));
    assert_eq!(host.state("t"), State::Ongoing);
    assert!(host.markers("a", 0).is_empty());
    assert_eq!(host.end(4, "t", producer, false), Ok(producer));
    assert_eq!(host.markers("a", 0), [(producer, false)]);
}

#[test]
fn markers_are_sent_again_until_the_transaction_is_over() {
    for commit in [true, false] {
        let mut host = Host::new();
        let producer = host.init("t").unwrap();
        assert_eq!(host.add("t", producer, &[("a", 0), ("a", 1), ("b", 2)]), ErrorCode::None);
        host.hold = Hold { markers: true, ..Hold::default() };
        assert_eq!(host.end(4, "t", producer, commit), Ok(producer));
        for _ in 0..3 {
            // One has its marker, but that is not heard of.
            host.write_marker(0);
            host.restart();
            assert_eq!(host.due.len(), 3);
        }
        host.release();
        assert!(host.state("t").is_idle());
        assert_eq!(host.markers("a", 0), vec![(producer, commit); 4]);
        assert_eq!(host.markers("b", 2), [(producer, commit)]);
        host.restart();
        assert!(host.due.is_empty(), "what is over is over");
    }
}

#[test]
fn a_decision_without_partitions_is_completed() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    let records = host.log.len();
    host.hold = Hold { sync: true, ..Hold::default() };
    host.ask(5, end_request("t", producer, false));
    assert_eq!((host.log.len(), host.state("t")), (records + 2, State::CompleteAbort));
    host.sync(records + 1);
    host.restart();
    assert_eq!(host.state("t"), State::CompleteAbort, "the second record was lost, and is written again");
    host.release();
    assert_eq!(host.end(5, "t", producer, false), Ok(Producer { epoch: 1, ..producer }));
}

#[test]
fn the_epoch_of_the_coordinator_grows_with_each_load() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    assert_eq!(host.add("t", producer, &[("a", 0)]), ErrorCode::None);
    host.restart();
    host.restart();
    // The host compares it in every marker.
    assert_eq!((host.epoch, host.end(4, "t", producer, true)), (3, Ok(producer)));
    assert_eq!(host.markers("a", 0).len(), 1);
}

#[test]
fn a_snapshot_says_all() {
    let mut host = Host::new();
    let ids: Vec<&'static str> = (0..300).map(|k| &*format!("{k}-{}", "x".repeat(2000)).leak()).collect();
    for (k, id) in ids.iter().enumerate() {
        let producer = host.init(id).unwrap();
        if k % 3 > 0 {
            assert_eq!(host.add(id, producer, &[("a", 0), ("b", 1)]), ErrorCode::None);
        }
        if k % 3 > 1 {
            assert_eq!(host.end(5, id, producer, true), Ok(Producer { epoch: 1, ..producer }));
        }
    }
    let writes = host.machine.snapshot().expect("nothing in this log is part of a transaction");
    assert!(writes.len() > 1, "one write for all would be too large");
    let mut restored = Transactions::new(host.settings);
    for write in &writes {
        assert_eq!((write.tag, write.producer), (0, None));
        let bytes: usize = write.records.iter().map(|r| r.key.len() + r.value.as_ref().unwrap().len()).sum();
        assert!(bytes <= 256 << 10, "{bytes} bytes in one write");
        for record in &write.records {
            restored.replay(Replayed {
                offset: 0,
                timestamp_ms: 0,
                producer: None,
                key: &record.key,
                value: record.value.as_deref(),
            });
        }
    }
    assert!(restored.stored().eq(host.machine.stored()));
    assert_eq!(restored.stored().count(), 300);
    assert_eq!(Transactions::new(host.settings).snapshot(), Some(Vec::new()));
}

#[test]
fn a_snapshot_while_something_is_under_way_says_what_is_stored() {
    let mut host = Host::new();
    let producer = host.init("t").unwrap();
    host.hold = Hold { writes: true, producer_ids: true, ..Hold::default() };
    host.ask(5, init_request("new", TIMEOUT_MS, None));
    host.ask(5, add_request(5, "t", producer, &[("a", 0)], false));
    let writes = host.machine.snapshot().unwrap();
    assert_eq!(writes.iter().map(|write| write.records.len()).sum::<usize>(), 1);
    assert_eq!(writes[0].records[0].value, host.log[0].1);
}

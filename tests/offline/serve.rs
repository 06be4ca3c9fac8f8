//! A broker on a damaged directory: what its log says, what readers of what is lost are told, and that all else is served.

use std::collections::BTreeSet;
use std::process::Command;

use ringmail_wire::protocol::*;

use crate::broker::Broker;
use crate::client::{Client, fetch_request, values};
use crate::kinds::{Damaged, a_missing_file, a_sealed_middle, all, an_unsealed_middle};
use crate::store::{Contents, End, Store, append, contents, logs, start};

fn whole(end: End) -> Contents {
    let store = Store::new(end);
    let broker = start(&store.data());
    let (contents, _) = contents(&broker);
    broker.stop();
    contents
}

/// The offsets that a broker on a damaged directory cannot serve.
fn lost(damaged: &Damaged) -> BTreeSet<(LogId, u64)> {
    let offsets = damaged.lost.iter().map(|e| (e.log, e.base_offset..e.end_offset()));
    offsets.flat_map(|(log, range)| range.map(move |offset| (log, offset))).collect()
}

/// Reads every offset by itself: what is not lost comes as it was written, what is lost comes as an error.
#[track_caller]
fn check(client: &mut Client, before: &Contents, lost: &BTreeSet<(LogId, u64)>, kind: &str) {
    // The catalog's log cannot be read by clients.
    for ((log, offset), value) in before {
        let frame = client.call(Api::Fetch, &fetch_request(*log, *offset, 0));
        let response = frame.ok::<FetchResponse<'_>>();
        let partition = response.partitions.first().expect("there is something, or an error");
        if lost.contains(&(*log, *offset)) {
            let code = ErrorCode::from_number(partition.header.code);
            assert_eq!(code, ErrorCode::DamagedRange, "{kind}: log {log} offset {offset}");
        } else {
            assert_eq!(partition.header.code, 0, "{kind}: log {log} offset {offset}");
            assert!(values(partition.batches).contains(value), "{kind}: log {log} offset {offset}");
        }
    }
}

#[test]
fn everything_that_is_whole_is_served_and_the_rest_refused() {
    let before = [whole(End::Stopped), whole(End::Killed)];
    for damaged in all() {
        let kind = damaged.kind;
        let before = &before[usize::from(kind == "unsealed tail")];
        let lost = lost(&damaged);
        let broker = start(&damaged.store.data());
        let mut client = broker.client();
        check(&mut client, before, &lost, kind);
        // Appends go on where the logs ended.
        for log in logs(&mut client) {
            let last = before.range((log, 0)..=(log, u64::MAX)).next_back().expect("it has records").0.1;
            append(&mut client, log, last + 1);
        }
        let words = broker.stop();
        let told =
            words.contains("stored bytes are damaged") || words.contains("no segment holds these offsets");
        assert!(told || lost.is_empty(), "{kind}: the operator is told: {words}");
        assert!(!words.contains("panicked"), "{kind}: {words}");
    }
}

/// What a broker says at its start, before anybody reads.
fn said_at_start(damaged: &Damaged) -> String {
    let broker = start(&damaged.store.data());
    broker.kill()
}

#[test]
fn the_log_says_at_the_start_what_is_known_to_be_damaged() {
    let said = said_at_start(&an_unsealed_middle());
    assert!(
        said.contains("stored bytes are damaged") && said.contains("the entry payload's CRC is wrong"),
        "{said}"
    );
    assert!(said.contains("ERROR"), "{said}");
    let missing = a_missing_file();
    let said = said_at_start(&missing);
    for log in missing.lost.iter().map(|e| e.log).collect::<BTreeSet<_>>() {
        assert!(
            said.contains("no segment holds these offsets") && said.contains(&format!("log={log}")),
            "{said}"
        );
    }
}

/// Runs `ringmail consume` from an offset of a partition; gives its exit code, and what it printed.
fn consume(broker: &Broker, topic: &str, partition: usize, from: u64) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmail"));
    let (partition, from) = (partition.to_string(), from.to_string());
    command.args(["consume", topic, "--partition", &partition, "--from", &from, "--until-end"]);
    let output =
        command.args(["--server", &broker.address]).env_clear().output().expect("the binary is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_consumer_is_told_in_words_and_others_read_on() {
    let damaged = a_sealed_middle();
    let broker = start(&damaged.store.data());
    let mut client = broker.client();
    let entry = damaged.lost[0];
    let topics = ["orders", "payments"].map(|topic| (topic, client.logs(topic)));
    for (topic, logs) in &topics {
        for (partition, log) in logs.iter().enumerate() {
            let (code, records, words) = consume(&broker, topic, partition, 0);
            if *log != entry.log {
                assert_eq!((code, words.as_str()), (Some(0), ""), "{topic} {partition}");
                continue;
            }
            assert_eq!(code, Some(1), "{words}");
            assert_eq!(records.lines().count() as u64, entry.base_offset, "what stands before it was read");
            let told = format!("records from offset {} on are damaged", entry.base_offset);
            assert!(words.contains(&told) && words.contains("CRC is wrong"), "{words}");
            assert_eq!(words.lines().count(), 1, "{words}");
            // Behind the damage everything is there.
            let (code, records, words) = consume(&broker, topic, partition, entry.end_offset());
            assert_eq!((code, words.as_str()), (Some(0), ""));
            assert!(records.starts_with(&format!("log {log} offset {} ", entry.end_offset())), "{records}");
        }
    }
    let said = broker.stop();
    assert!(said.contains("stored bytes are damaged"), "{said}");
}

//! Starting and stopping: what is refused, in one line that says what to do; and how a broker ends.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data, refused};
use crate::client::{batch, fetch_request};

/// The one line of a broker that does not start.
#[track_caller]
fn words(data: &Path, arguments: &[&str], code: i32) -> String {
    let output = refused(data, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    let last = stderr.lines().last().unwrap_or_default().to_owned();
    if code == 1 {
        assert!(last.starts_with("ringmail: "), "{stderr}");
    }
    last
}

#[test]
fn a_data_directory_has_one_broker() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let words = words(&data.path(), &[], 1);
    assert!(words.contains(&format!("process id {}", broker.id())) && words.contains("--data"), "{words}");
    broker.client().create("t", 1);
}

#[test]
fn a_data_directory_of_a_newer_format_is_left_alone() {
    let data = Data::new();
    Broker::start(&data.path()).stop();
    let path = data.path().join("ringmail.superblock");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format\":1", "\"format\":9")).unwrap();
    let words = words(&data.path(), &[], 1);
    assert!(words.contains("data format 9") && words.contains("newer version"), "{words}");
}

#[test]
fn a_catalog_of_more_shards_than_there_are_is_left_alone() {
    let (four, one) = (Data::new(), Data::new());
    let broker = Broker::start_with(&four.path(), &["--set", "node.shards=4"]);
    broker.client().create("t", 4);
    broker.stop();
    Broker::start(&one.path()).stop();
    let segments = one.path().join("shard-000");
    fs::remove_dir_all(&segments).unwrap();
    fs::rename(four.path().join("shard-000"), &segments).unwrap();
    let words = words(&one.path(), &["--set", "node.shards=1"], 1);
    assert!(words.contains("is on shard ") && words.contains("this directory has 1,"), "{words}");
    assert!(words.contains("nothing was changed"), "{words}");
}

#[test]
fn what_is_no_data_directory_is_left_alone() {
    let data = Data::new();
    fs::write(data.path(), "x").unwrap();
    assert!(words(&data.path(), &[], 1).contains("is not a directory"));
    fs::remove_file(data.path()).unwrap();
    fs::create_dir(data.path()).unwrap();
    fs::write(data.path().join("notes.txt"), "x").unwrap();
    assert!(words(&data.path(), &[], 1).contains("notes.txt"));
}

#[test]
fn a_taken_port_is_named() {
    let data = Data::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port();
    let ports = format!("listen.shard_ports_from={port}");
    let words = words(&data.path(), &["--set", &ports, "--set", "node.shards=1"], 1);
    assert!(words.contains(&format!("{address} is in use")), "{words}");
}

#[test]
fn wrong_flags_and_values_are_named() {
    let data = Data::new();
    for (arguments, part) in [
        (["--frobnicate", "1"], "frobnicate"),
        (["--set", "log.segmnet=1 MiB"], "log.segment"),
        (["--set", "log.write=many"], "many"),
        (["--cores", "none"], "none"),
        (["--set", "listen.native=127.0.0.1:2"], "both set listen.native"),
    ] {
        let output = refused(&data.path(), &arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
        assert!(!data.path().exists());
    }
}

#[test]
fn a_stop_answers_what_was_taken_and_refuses_the_rest() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let logs = client.create("t", 2);
    let one = batch(&["a"]);
    for number in 0..1_000 {
        let request = ProduceRequest { log: logs[number % 2], acks: Acks::Synced, batch: &one };
        client.send(Api::Produce, &request);
    }
    let mut waiting = broker.client();
    waiting.send(Api::Fetch, &fetch_request(logs[0], 100_000_000, 15_000));
    assert_eq!(waiting.receive().ok::<FetchResponse<'_>>().partitions.len(), 1);
    broker.stop();
    let mut taken = 0;
    while let Some(frame) = client.try_receive() {
        match frame.header.code {
            0 => taken += 1,
            _ => assert_eq!(frame.error(), ErrorCode::ShuttingDown),
        }
    }
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client();
    let stored: u64 = logs.iter().map(|log| client.offsets(*log).1).sum();
    assert!(stored >= taken, "{stored} of {taken}");
}

#[test]
fn a_stop_ends_waiting_clients() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut fetching = broker.client();
    let log = fetching.create("t", 1)[0];
    fetching.send(Api::Fetch, &fetch_request(log, 0, 60_000));
    let mut listening = broker.client();
    let request = SubscribeRequest { subscription: 3, log, offset: 0, credit: 1_000 };
    let _ = listening.call(Api::Subscribe, &request).ok::<SubscribeResponse>();
    broker.stop();
    assert_eq!(fetching.receive().ok::<FetchResponse<'_>>().partitions, []);
    assert_eq!(fetching.try_receive(), None);
    let frame = listening.receive();
    assert_eq!((frame.header.api, frame.error()), (Api::Push as u8, ErrorCode::ShuttingDown));
    assert_eq!(listening.try_receive(), None);
}

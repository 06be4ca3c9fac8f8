//! Producing: every level of acknowledgement, pipelining, back pressure.

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{Client, batch};

#[test]
fn batches_get_dense_offsets_at_every_level() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let two = batch(&["a", "b"]);
    for (acks, base) in [(Acks::Synced, 0), (Acks::Written, 2), (Acks::Synced, 4)] {
        let frame = client.call(Api::Produce, &ProduceRequest { log, acks, batch: &two });
        assert_eq!(frame.ok::<ProduceResponse>().base_offset, base);
    }
    client.send(Api::Produce, &ProduceRequest { log, acks: Acks::None, batch: &two });
    assert_eq!(client.produce(log, &["c"]), 8, "what needs no answer comes before what follows it");
    assert_eq!(client.fetch(log, 0).len(), 9);
}

#[test]
fn pipelined_requests_take_effect_in_order() {
    const COUNT: u32 = 5_000;
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let mut frames = Vec::new();
    for number in 0..COUNT {
        let request = ProduceRequest { log, acks: Acks::Synced, batch: &batch(&[&number.to_string()]) };
        put_frame(&mut frames, Api::Produce, number, 0, &request);
    }
    client.send_bytes(&frames);
    for _ in 0..COUNT {
        let frame = client.receive();
        let offset = frame.ok::<ProduceResponse>().base_offset;
        assert_eq!(offset, u64::from(frame.header.correlation));
    }
    let values = read_all(&mut client, log, COUNT as usize);
    assert!(values.into_iter().eq((0..COUNT).map(|number| number.to_string())));
}

#[test]
fn a_client_that_sends_more_than_may_be_in_flight_is_slowed_and_loses_nothing() {
    const COUNT: u32 = 200;
    let data = Data::new();
    let limits = [
        "node.shards=1",
        "limits.batch=256 KiB",
        "limits.frame=512 KiB",
        "limits.in_flight_per_connection=512 KiB",
        "limits.in_flight_per_shard=1 MiB",
        "limits.fetch_response=512 KiB",
    ];
    let arguments: Vec<_> = limits.iter().flat_map(|limit| ["--set", limit]).collect();
    let broker = Broker::start_with(&data.path(), &arguments);
    let log = broker.client().create("t", 1)[0];
    let value = "x".repeat(200 << 10);
    let large = batch(&[&value]);
    let clients: Vec<_> = (0..4).map(|_| broker.client()).collect();
    let producers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let large = large.clone();
            std::thread::spawn(move || {
                for _ in 0..COUNT / 4 {
                    client.send(Api::Produce, &ProduceRequest { log, acks: Acks::Synced, batch: &large });
                }
                let mut offsets: Vec<_> =
                    (0..COUNT / 4).map(|_| client.receive().ok::<ProduceResponse>().base_offset).collect();
                assert!(offsets.is_sorted());
                offsets.dedup();
                offsets.len()
            })
        })
        .collect();
    let taken: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
    assert_eq!(taken, COUNT as usize);
    assert_eq!(broker.client().offsets(log), (0, COUNT.into()));
}

#[test]
fn a_client_that_sends_no_more_still_gets_its_answers() {
    let data = Data::new();
    let broker = Broker::start(&data.path());
    let mut client = broker.client();
    let log = client.create("t", 1)[0];
    let one = batch(&["a"]);
    for _ in 0..10 {
        client.send(Api::Produce, &ProduceRequest { log, acks: Acks::Synced, batch: &one });
    }
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    for offset in 0..10 {
        assert_eq!(client.receive().ok::<ProduceResponse>().base_offset, offset);
    }
    assert_eq!(client.try_receive(), None);
}

/// Fetches until there are `count` values.
pub fn read_all(client: &mut Client, log: LogId, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let more = client.fetch(log, values.len() as u64);
        assert!(!more.is_empty(), "the log ends after {} records", values.len());
        values.extend(more);
    }
    values
}

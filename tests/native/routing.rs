//! Requests that arrive at a shard that does not own the log.

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{batch, fetch_request, fetched};
use crate::produce::read_all;

#[test]
fn every_shard_serves_every_partition() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut clients = [broker.client_at(0), broker.client_at(1)];
    let partitions = {
        clients[0].create("t", 4);
        clients[0].partitions("t")
    };
    let owned = |shard| partitions.iter().filter(|partition| partition.shard == shard).count();
    assert_eq!((owned(0), owned(1)), (2, 2));
    for PartitionInfo { log, .. } in partitions {
        for (number, client) in (0..).zip(&mut clients) {
            assert_eq!(client.produce(log, &[&number.to_string()]), number);
        }
        for client in &mut clients {
            assert_eq!(client.fetch(log, 0), ["0", "1"]);
            assert_eq!(client.offsets(log), (0, 2));
        }
    }
}

#[test]
fn metadata_names_the_port_of_each_shard() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    for (number, port) in (0..).zip(&broker.shard_ports) {
        let mut client = crate::client::Client::connect_silently(&format!("127.0.0.1:{port}"));
        assert_eq!(client.handshake(), number);
        let frame = client.call(Api::Metadata, &MetadataRequest { topics: vec![] });
        let shards = frame.ok::<MetadataResponse<'_>>().shards;
        let ports: Vec<_> = shards.iter().map(|shard| (shard.shard, shard.port, shard.host)).collect();
        assert_eq!(ports, [(0, broker.shard_ports[0], ""), (1, broker.shard_ports[1], "")]);
    }
}

#[test]
fn routed_requests_are_pipelined_and_keep_their_order() {
    const COUNT: u32 = 3_000;
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client_at(0);
    client.create("t", 2);
    let partition = client.partitions("t").into_iter().find(|partition| partition.shard == 1).unwrap();
    let log = partition.log;
    let mut frames = Vec::new();
    for number in 0..COUNT {
        let acks = if number % 3 == 0 { Acks::None } else { Acks::Synced };
        let request = ProduceRequest { log, acks, batch: &batch(&[&number.to_string()]) };
        put_frame(&mut frames, Api::Produce, number, 0, &request);
    }
    client.send_bytes(&frames);
    for number in (0..COUNT).filter(|number| number % 3 != 0) {
        let frame = client.receive();
        assert_eq!(frame.header.correlation, number);
        assert_eq!(frame.ok::<ProduceResponse>().base_offset, u64::from(number));
    }
    let values = read_all(&mut client, log, COUNT as usize);
    assert!(values.into_iter().eq((0..COUNT).map(|number| number.to_string())));
}

#[test]
fn large_batches_pass_between_shards_under_back_pressure() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let mut client = broker.client_at(0);
    client.create("t", 2);
    let partition = client.partitions("t").into_iter().find(|partition| partition.shard == 1).unwrap();
    let large = "x".repeat(1 << 20);
    let request = ProduceRequest { log: partition.log, acks: Acks::Synced, batch: &batch(&[&large]) };
    let mut sender = crate::client::Client::connect(&broker.address);
    let correlations: Vec<_> = (0..100).map(|_| sender.send(Api::Produce, &request)).collect();
    for correlation in correlations {
        assert_eq!(sender.receive().header.correlation, correlation);
    }
    assert_eq!(client.offsets(partition.log), (0, 100));
}

#[test]
fn a_long_poll_waits_for_another_shard() {
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let (mut consumer, mut producer) = (broker.client_at(0), broker.client_at(1));
    let logs = consumer.create("t", 4);
    for round in 0..20 {
        for log in &logs {
            let partitions = logs
                .iter()
                .map(|log| FetchPartition { log: *log, offset: round, max_bytes: 1_000 })
                .filter(|partition| partition.log >= *log)
                .collect();
            let request = FetchRequest { partitions, ..fetch_request(*log, round, 15_000) };
            consumer.send(Api::Fetch, &request);
            producer.produce(*log, &[&round.to_string()]);
            assert_eq!(fetched(&consumer.receive()), [round.to_string()]);
        }
    }
}

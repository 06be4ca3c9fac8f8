//! Connections that come, go, and break off in the middle of everything.

use ringmail_wire::protocol::*;

use crate::broker::{Broker, Data};
use crate::client::{batch, fetch_request};

/// A small generator of numbers (xorshift), so that a run can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One connection that asks for all sorts of things, takes some of the answers, and is gone.
fn visit(broker: &Broker, logs: &[LogId], numbers: &mut Numbers) {
    let mut client = broker.client_at(numbers.below(2) as usize);
    let large = "x".repeat(numbers.below(100_000) as usize + 1);
    let content = batch(&[&large]);
    let mut asked = 0;
    for subscription in 0..numbers.below(30) as u32 {
        let log = logs[numbers.below(logs.len() as u64) as usize];
        match numbers.below(8) {
            0 => {
                let request = SubscribeRequest { subscription, log, offset: 0, credit: 1 << 20 };
                client.send(Api::Subscribe, &request);
            }
            1 => {
                client.send(Api::Unsubscribe, &UnsubscribeRequest { subscription: subscription / 2 });
            }
            2 => {
                let wait = numbers.below(2_000) as u32;
                client.send(Api::Fetch, &fetch_request(log, 0, wait));
            }
            3 => {
                let min_bytes = 1 << 19;
                client.send(Api::Fetch, &FetchRequest { min_bytes, ..fetch_request(log, 0, 100) });
            }
            4 => {
                client.send(Api::DeleteRecords, &DeleteRecordsRequest { log, before: u64::MAX });
            }
            5 => {
                client.send(Api::DescribeTopic, &DescribeTopicRequest { name: "t" });
            }
            acks => {
                let acks = if acks == 6 { Acks::Synced } else { Acks::Written };
                client.send(Api::Produce, &ProduceRequest { log, acks, batch: &content });
            }
        }
        asked += 1;
    }
    if numbers.below(3) == 0 {
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
    }
    // Everything is answered, or the connection ends: waiting for fewer frames than were asked for is never in vain.
    for _ in 0..numbers.below(asked + 1) {
        let _ = client.try_receive();
    }
}

#[test]
fn connections_that_break_off_anywhere_leave_a_healthy_broker() {
    const VISITORS: u64 = 8;
    const VISITS: u64 = 100;
    let data = Data::new();
    let broker = Broker::start_two_shards(&data.path());
    let logs = broker.client().create("t", 6);
    std::thread::scope(|scope| {
        for visitor in 1..=VISITORS {
            let (broker, logs) = (&broker, &logs);
            scope.spawn(move || {
                let mut numbers = Numbers(visitor.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                (0..VISITS).for_each(|_| visit(broker, logs, &mut numbers));
            });
        }
    });
    let mut client = broker.client();
    for log in logs {
        let offset = client.produce(log, &["after"]);
        assert_eq!(client.fetch(log, offset), ["after"]);
    }
    let words = broker.stop();
    assert!(!words.contains("panicked") && !words.contains("ERROR"), "{words}");
}

//! A long run in which everything comes and goes: what a broker leaks by the connection, topic or subscription adds up.
//! `make soak-churn MINUTES=5`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringmail_wire::protocol::*;
use socket2::SockRef;

use crate::broker::{Broker, Data};
use crate::client::{Client, batch, fetch_request};
use crate::host::{descriptors, raise_descriptors, resident_kib};

/// Clients that come and go at the same time.
const VISITORS: u64 = 6;

/// Every so many-th visit creates a topic and deletes it.
const TOPIC_EVERY: u64 = 50;

const DEFAULT_MINUTES: f64 = 5.0;

/// The share of the time after which caches are full, and memory counts.
const WARM_UP: f64 = 0.4;

const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Memory goes up while a segment fills, and down as it is deleted; looked at is its floor in so many seconds at least, and in so
/// many periods at most.
const PERIOD_SECONDS: f64 = 18.0;
const PERIODS: usize = 20;

/// What that goes up and down by anyway, in MiB: growth is known to no more than this in the time measured.
const WOBBLE_MIB: f64 = 4.0;

/// Growth that is aimed at, in MiB an hour.
const AIM_MIB_PER_HOUR: f64 = 1.0;

/// Descriptors that connections which are just ending may hold more than in the beginning.
const SPARE_DESCRIPTORS: usize = 4;

/// A small generator of numbers (xorshift), so that the visits of a run are those of the next.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Asks for a few things, takes some of the answers, and leaves: in order, at once, or by RST.
fn visit(broker: &Broker, logs: &[LogId], content: &[u8], numbers: &mut Numbers) {
    let mut client = broker.client_at(numbers.below(2) as usize);
    let log = logs[numbers.below(logs.len() as u64) as usize];
    let end = client.offsets(log).1;
    let asked = numbers.below(5);
    for id in 0..asked as u32 {
        match numbers.below(5) {
            0 => {
                let request = SubscribeRequest { subscription: id, log, offset: 0, credit: 1 << 16 };
                client.send(Api::Subscribe, &request);
            }
            1 => {
                client.send(Api::Unsubscribe, &UnsubscribeRequest { subscription: id / 2 });
            }
            2 => {
                client.send(Api::Fetch, &fetch_request(log, end, 10_000));
            }
            3 => {
                let bytes = &content[..content.len() / 2];
                let request = ProduceRequest { log, acks: Acks::Synced, batch: bytes };
                client.send(Api::Produce, &request);
            }
            _ => {
                client.send(Api::Produce, &ProduceRequest { log, acks: Acks::Written, batch: content });
            }
        }
        if numbers.below(2) == 0 {
            // An answer, a push, or what the client before asked for: there is no order to expect.
            client.send(Api::Ping, &());
            let _ = client.try_receive();
        }
    }
    match numbers.below(4) {
        0 => SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).expect("a socket option"),
        1 => client.send_bytes(&[40, 0, 0, 0, 9, 9]),
        _ => {}
    }
}

/// Creates a topic, uses it, and deletes it.
fn visit_of_a_topic(broker: &Broker, name: &str) {
    let mut client: Client = broker.client();
    let logs = client.create(name, 2);
    client.produce(logs[0], &["a"]);
    client.call(Api::DeleteTopic, &DeleteTopicRequest { name }).ok::<()>();
}

/// Slope of the line through points (x, y) with the least squares of distances in y.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let apart: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    together / apart
}

/// The lowest of the points (hours, MiB) in each period.
fn floors(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let hours = points[points.len() - 1].0 - points[0].0;
    let periods = ((hours * 3_600.0 / PERIOD_SECONDS) as usize).clamp(2, PERIODS);
    let lowest = |period: &[(f64, f64)]| period.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    // What is left over at the end may be less than a period.
    points.chunks_exact((points.len() / periods).max(1)).filter_map(lowest).collect()
}

#[test]
fn growth_is_found_below_what_goes_up_and_down() {
    let hours = |second: u32| f64::from(second) / 3_600.0;
    let points: Vec<_> = (0..240)
        .map(|second| (hours(second), 30.0 + f64::from(second % 15) + 60.0 * hours(second)))
        .collect();
    let slope = slope(&floors(&points));
    assert!((slope - 60.0).abs() < 6.0, "{slope}");
}

#[test]
fn a_line_is_found_through_points() {
    let points: Vec<_> =
        (0..100).map(|x| (f64::from(x), 7.0 + 3.0 * f64::from(x) + f64::from(x % 2))).collect();
    assert!((slope(&points) - 3.0).abs() < 0.001);
}

fn minutes() -> f64 {
    match std::env::var("MINUTES") {
        Ok(minutes) => minutes.parse().expect("MINUTES is a number of minutes"),
        Err(_) => DEFAULT_MINUTES,
    }
}

/// Looks at the broker until the time is over; gives (hours, MiB) after the warm-up.
fn observe(broker: &Broker, minutes: f64, visits: &AtomicU64) -> Vec<(f64, f64)> {
    let started = Instant::now();
    let mut points = Vec::new();
    loop {
        let elapsed = started.elapsed().as_secs_f64() / 60.0;
        if elapsed >= minutes {
            return points;
        }
        let mib = resident_kib(broker.id()) as f64 / 1024.0;
        if elapsed >= minutes * WARM_UP {
            points.push((elapsed / 60.0, mib));
        }
        let visits = visits.load(Ordering::Relaxed);
        eprint!("\r{elapsed:.1} of {minutes} min, {visits} connections, {mib:.1} MiB ");
        std::thread::sleep(SAMPLE_EVERY);
    }
}

#[test]
#[ignore = "takes minutes: make soak-churn"]
fn soak_churn() {
    raise_descriptors();
    let (data, minutes) = (Data::new(), minutes());
    let small =
        ["--set", "node.shards=2", "--set", "log.tail_cache=4 MiB", "--set", "topics.retention_size=4 MiB"];
    let broker = Broker::start_with(&data.path(), &small);
    let frame = broker
        .client()
        .call(Api::CreateTopic, &CreateTopicRequest { partitions: 4, name: "t", config: Vec::new() });
    frame.ok::<TopicCreated>();
    let logs = broker.client().logs("t");
    let before = descriptors(broker.id());
    let (stop, visits) = (AtomicBool::new(false), AtomicU64::new(0));
    let points = std::thread::scope(|scope| {
        for visitor in 1..=VISITORS {
            let (broker, logs, stop, visits) = (&broker, &logs, &stop, &visits);
            scope.spawn(move || {
                let content = batch(&["x".repeat(2_000).as_str()]);
                let mut numbers = Numbers(visitor.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                for turn in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if turn % TOPIC_EVERY == 0 {
                        visit_of_a_topic(broker, &format!("churn-{visitor}-{turn}"));
                    }
                    visit(broker, logs, &content, &mut numbers);
                    visits.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let points = observe(&broker, minutes, &visits);
        stop.store(true, Ordering::Relaxed);
        points
    });
    report(&broker, minutes, before, visits.into_inner(), &points);
    let words = broker.stop();
    assert!(!words.contains("panicked") && !words.contains("ERROR"), "{words}");
}

fn report(broker: &Broker, minutes: f64, before: usize, visits: u64, points: &[(f64, f64)]) {
    // What was reset a moment ago is not closed yet.
    std::thread::sleep(Duration::from_secs(3));
    let after = descriptors(broker.id());
    let floors = floors(points);
    let (slope, hours) = (slope(&floors), floors[floors.len() - 1].0 - floors[0].0);
    let bound = AIM_MIB_PER_HOUR + WOBBLE_MIB / hours;
    let (first, last) = (floors[0].1, floors[floors.len() - 1].1);
    println!(
        "\n{minutes} minutes, {visits} connections ({:.0}/s), memory {first:.1} to {last:.1} MiB, slope {slope:.2} MiB/h \
         (bound {bound:.1}: {AIM_MIB_PER_HOUR} and {WOBBLE_MIB} MiB of wobble in {:.1} min), descriptors {before} before, {after} after",
        visits as f64 / (minutes * 60.0),
        hours * 60.0
    );
    assert!(slope < bound, "memory grows by {slope:.2} MiB an hour");
    assert!(after <= before + SPARE_DESCRIPTORS, "{} descriptors are left open", after - before);
}

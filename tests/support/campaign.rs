//! Crashes, one after another, of a broker at work: clients go on through some of them, then everything is compared.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringmail_sdk::blocking::Client;

use crate::broker::{self, Broker, Starting};
use crate::support::book::{TopicBook, check_the_checker};
use crate::support::findings::{Findings, Grouped, Kind};
use crate::support::load::{Load, delete};
use crate::support::rng::{Rng, mix};
use crate::support::world::World;

/// Crashes at most that clients go on through before everything is compared.
const CRASHES_PER_ROUND: u64 = 4;
/// Rounds after which the topics of a round are deleted.
const ROUNDS_KEPT: usize = 2;
/// A campaign that does not get on for so long is stuck: a loop takes a few seconds.
const STUCK_AFTER: Duration = Duration::from_secs(180);
const GIB: f64 = (1 << 30) as f64;

/// How a broker at work comes to its end.
pub trait Ending {
    /// Ends the broker, and begins nothing but what ends, too.
    fn end(&mut self, broker: Broker, site: &Site, rng: &mut Rng);

    /// Whether a line that the broker logged, of level ERROR, is what had to be said.
    fn is_due(&self, line: &str) -> bool;
}

/// Where a broker runs, again and again: its data and its ports.
pub struct Site {
    pub data: PathBuf,
    ports: u16,
    pub shards: u16,
    settings: Vec<&'static str>,
    pub figures: Arc<Figures>,
    pub world: Arc<World>,
}

/// What is counted of all sites.
#[derive(Debug, Default)]
pub struct Figures {
    starts: AtomicU64,
    start_micros: AtomicU64,
    slowest_micros: AtomicU64,
    bytes: AtomicU64,
    /// Crashes so far.
    done: AtomicU64,
    /// The broker that was started last.
    broker: AtomicU64,
    /// What is being done.
    phase: Mutex<&'static str>,
}

impl Figures {
    fn begin(&self, phase: &'static str) {
        *self.phase.lock().unwrap() = phase;
    }
}

/// Ends the process, with the broker, if it is stuck.
fn watch(figures: Arc<Figures>, seed: u64) {
    std::thread::spawn(move || {
        let mut last = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let done = figures.done.load(Ordering::SeqCst);
            if done != last.0 {
                last = (done, Instant::now());
            }
            if last.1.elapsed() > STUCK_AFTER {
                let phase = *figures.phase.lock().unwrap();
                println!("FAILED with SEED={seed}: nothing gets on after {done} loops, while {phase}");
                let broker = figures.broker.load(Ordering::SeqCst).to_string();
                let _ = Command::new("kill").args(["-s", "KILL", &broker]).status();
                std::process::exit(1);
            }
        }
    });
}

impl Site {
    /// A site for up to `most` shards.
    pub fn new(data: PathBuf, settings: &[&'static str], world: &Arc<World>, figures: &Arc<Figures>) -> Self {
        let (world, figures) = (Arc::clone(world), Arc::clone(figures));
        Self { data, ports: free_ports(), shards: 1, settings: settings.to_vec(), figures, world }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports)
    }

    /// Starts the broker, and does not wait until it is ready.
    pub fn spawn(&self) -> Starting {
        let address = self.address();
        let shards = format!("node.shards={}", self.shards);
        let ports = format!("listen.shard_ports_from={}", self.ports + 1);
        let mut arguments = vec!["--listen", &address, "--set", &shards, "--set", &ports];
        for setting in &self.settings {
            arguments.extend(["--set", setting]);
        }
        let starting = Starting::spawn(broker::command(&self.data, &arguments));
        self.figures.broker.store(starting.id().into(), Ordering::SeqCst);
        starting
    }

    fn start(&self) -> Broker {
        let (bytes, started) = (segment_bytes(&self.data), Instant::now());
        let broker =
            self.spawn().ready().unwrap_or_else(|words| panic!("the broker does not start: {words}"));
        let micros = started.elapsed().as_micros() as u64;
        let figures = &self.figures;
        figures.starts.fetch_add(1, Ordering::SeqCst);
        figures.start_micros.fetch_add(micros, Ordering::SeqCst);
        figures.slowest_micros.fetch_max(micros, Ordering::SeqCst);
        figures.bytes.fetch_add(bytes, Ordering::SeqCst);
        broker
    }

    /// Looks through what a broker has logged.
    pub fn hear(&self, log: &str, ending: &dyn Ending) {
        for line in log.lines() {
            let error = line.contains(" ERROR ") && !ending.is_due(line);
            if error || line.contains("panicked") {
                self.world.findings.add(Kind::Broken, || format!("the broker said: {line}"));
            }
        }
    }
}

/// Several ports in a row that nobody uses, outside the range from which the system takes those of clients.
fn free_ports() -> u16 {
    let mut rng = Rng::new(mix(std::process::id().into()));
    loop {
        let first = 10_000 + rng.below(22_000) as u16;
        if (first..first + 8).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

fn segment_bytes(data: &Path) -> u64 {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().collect::<Vec<_>>();
    let shards = entries(data).into_iter().filter(|entry| entry.path().is_dir());
    shards.flat_map(|shard| entries(&shard.path())).filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// A campaign of so many crashes.
pub struct Campaign {
    loops: u64,
    done: u64,
    rng: Rng,
    seed: u64,
    began: Instant,
    pub world: Arc<World>,
    pub figures: Arc<Figures>,
}

impl Campaign {
    /// A campaign against `world`; `LOOPS` and `SEED` of the environment say how many crashes, and which.
    pub fn new(world: Arc<World>, default_loops: u64) -> Self {
        check_the_checker();
        let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let loops = number("LOOPS").unwrap_or(default_loops).max(1);
        let seed = number("SEED").unwrap_or_else(|| mix(std::process::id().into()) % 1_000_000);
        println!("{loops} crashes, SEED={seed}");
        let figures: Arc<Figures> = Arc::default();
        watch(Arc::clone(&figures), seed);
        Self { loops, done: 0, rng: Rng::new(seed), seed, began: Instant::now(), world, figures }
    }

    /// How many crashes there are to be.
    pub fn loops(&self) -> u64 {
        self.loops
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Crashes the broker of a new site, until there were `until` crashes in all; after half of them it has `most_shards`.
    pub fn run(&mut self, site: &mut Site, ending: &mut dyn Ending, until: u64, most_shards: u16) {
        let mut kept: Vec<Vec<Arc<TopicBook>>> = Vec::new();
        let half = self.done + (until.saturating_sub(self.done)) / 2;
        self.world.forget_topics();
        let mut broker = site.start();
        for round in 0.. {
            if self.done >= until || !self.world.findings.is_clean() {
                break;
            }
            if self.done >= half {
                site.shards = most_shards;
            }
            (broker, kept) = self.round(site, ending, broker, (round, until), kept);
        }
        let log = broker.stop();
        site.hear(&log, ending);
    }

    fn round(
        &mut self,
        site: &Site,
        ending: &mut dyn Ending,
        mut broker: Broker,
        (round, until): (u64, u64),
        mut kept: Vec<Vec<Arc<TopicBook>>>,
    ) -> (Broker, Vec<Vec<Arc<TopicBook>>>) {
        let before = self.world.acknowledged();
        let name = format!("shards{}-round{round}-after{}", site.shards, self.done);
        let load = Load::start(&self.world, &broker.address, &name, &mut self.rng);
        let load = load.unwrap_or_else(|error| panic!("the broker does not serve: {error}"));
        let crashes = (1 + self.rng.below(CRASHES_PER_ROUND)).min(until - self.done);
        for _ in 0..crashes {
            self.figures.begin("crashing");
            ending.end(broker, site, &mut self.rng);
            self.world.note_crash();
            self.figures.begin("starting");
            broker = site.start();
            self.done += 1;
            self.figures.done.store(self.done, Ordering::SeqCst);
            self.show_progress();
        }
        self.figures.begin("waiting for the clients");
        kept.push(load.finish());
        self.figures.begin("checking");
        let client =
            Client::connect(&broker.address).unwrap_or_else(|error| panic!("no connection: {error}"));
        if let Err(error) = self.world.check(&client) {
            self.world.findings.add(Kind::Lost, || format!("what is stored cannot be read: {error}"));
        }
        if self.world.acknowledged() == before {
            self.world.findings.add(Kind::Broken, || "nothing was acknowledged in a whole round".into());
        }
        if kept.len() > ROUNDS_KEPT {
            kept.remove(0).iter().for_each(|topic| delete(&client, topic));
        }
        (broker, kept)
    }

    fn show_progress(&self) {
        if self.done.is_multiple_of((self.loops / 10).max(1)) {
            let (acknowledged, seconds) =
                (Grouped(self.world.acknowledged()), self.began.elapsed().as_secs());
            println!("  {} of {} loops, {acknowledged} acknowledged, {seconds} s", self.done, self.loops);
        }
    }

    /// Tells what was found. The last line has the figures.
    pub fn report(&self) -> ExitCode {
        let (findings, world) = (&self.world.findings, &self.world);
        for words in findings.words() {
            println!("  {words}");
        }
        println!("{}", self.starts());
        println!(
            "{} records read by followers; {} not acknowledged when a connection broke, {} of them stored again by a producer that \
             may; {} written and not synced that a power cut took",
            Grouped(world.consumed_records()),
            Grouped(world.unanswered()),
            Grouped(findings.repeated()),
            Grouped(findings.forgotten()),
        );
        if findings.is_clean() {
            println!("{}", self.last_line(findings));
            return ExitCode::SUCCESS;
        }
        println!("FAILED with SEED={}: {}", self.seed, self.last_line(findings));
        ExitCode::FAILURE
    }

    fn starts(&self) -> String {
        let load = |n: &AtomicU64| n.load(Ordering::SeqCst) as f64;
        let figures = &self.figures;
        let (starts, seconds) = (load(&figures.starts), load(&figures.start_micros) / 1e6);
        let gib = load(&figures.bytes) / GIB;
        format!(
            "{starts} starts over {:.0} MiB of segments each: {:.0} ms each, the slowest {:.0} ms, {:.2} s per GiB",
            gib * 1024.0 / starts.max(1.0),
            seconds * 1000.0 / starts.max(1.0),
            load(&figures.slowest_micros) / 1000.0,
            seconds / gib.max(1e-9),
        )
    }

    fn last_line(&self, findings: &Findings) -> String {
        let [lost, duplicated, reordered, phantom, gone] = findings.counts();
        let acknowledged = Grouped(self.world.acknowledged());
        let mut line = format!(
            "{} loops, {acknowledged} acknowledged, {lost} lost, {duplicated} duplicated, {reordered} reordered",
            self.done
        );
        let broken = findings.count(Kind::Broken);
        if phantom + gone + broken > 0 {
            let _ = write!(line, ", {phantom} phantom, {gone} read and then gone, {broken} otherwise wrong");
        }
        line
    }
}

/// Some time, below so many milliseconds.
pub fn moment(rng: &mut Rng, below_ms: u64) -> Duration {
    Duration::from_micros(rng.below(below_ms * 1000))
}

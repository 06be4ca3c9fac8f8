//! A data directory of a real broker, what it holds, and what is done to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ringmail::offline::{OfflineError, OpenSegment, State, find};
use ringmail_shards::format::entry::EntryHeader;
use ringmail_shards::scan::FoundFrame;
use ringmail_wire::batch::Batches;
use ringmail_wire::protocol::*;
use tempfile::TempDir;

use crate::broker::{Broker, Starting};
use crate::client::{Client, fetch_request};

/// Small segments, so that there are several.
const SETTINGS: &[&str] = &[
    "--set",
    "node.shards=2",
    "--set",
    "log.segment=1 MiB",
    "--set",
    "log.write=64 KiB",
    "--set",
    "limits.batch=256 KiB",
    "--set",
    "log.read_ahead=256 KiB",
];
const TOPICS: [(&str, u32); 2] = [("orders", 3), ("payments", 2)];
const BATCHES: usize = 220;
const IN_A_BATCH: u64 = 3;

/// How the broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    Killed,
}

/// A data directory, removed at the end.
pub struct Store(TempDir);

/// Records by log and offset.
pub type Contents = BTreeMap<(LogId, u64), String>;

pub fn start(data: &Path) -> Broker {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmail"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--kafka", "off", "--data"])
        .arg(data)
        .args(SETTINGS)
        .env_clear();
    let started = Starting::spawn(command).ready();
    started.unwrap_or_else(|words| panic!("the broker does not start: {words}"))
}

/// The record at an offset of a log.
fn value(log: LogId, offset: u64) -> String {
    format!("log {log} offset {offset} {}", "x".repeat(300 + (offset as usize * 37 + log as usize) % 400))
}

pub fn logs(client: &mut Client) -> Vec<LogId> {
    TOPICS.iter().flat_map(|(name, _)| client.logs(name)).collect()
}

/// Appends a batch to a log, and checks that it goes where the log ends.
pub fn append(client: &mut Client, log: LogId, at: u64) {
    let values: Vec<String> = (at..at + IN_A_BATCH).map(|offset| value(log, offset)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    assert_eq!(client.produce(log, &values), at);
}

fn write(data: &Path, end: End) {
    let broker = start(data);
    let mut client = broker.client();
    TOPICS.iter().for_each(|(name, partitions)| drop(client.create(name, *partitions)));
    let logs = logs(&mut client);
    for batch in 0..BATCHES as u64 {
        for &log in &logs {
            append(&mut client, log, batch * IN_A_BATCH);
        }
    }
    match end {
        End::Stopped => drop(broker.stop()),
        End::Killed => drop(broker.kill()),
    }
}

impl Store {
    /// A copy of a directory that was written once.
    pub fn new(end: End) -> Self {
        static STOPPED: OnceLock<TempDir> = OnceLock::new();
        static KILLED: OnceLock<TempDir> = OnceLock::new();
        let written = if end == End::Stopped { &STOPPED } else { &KILLED };
        let written = written.get_or_init(|| {
            let directory = TempDir::new().expect("a temporary directory");
            write(&directory.path().join("data"), end);
            directory
        });
        let copied = TempDir::new().expect("a temporary directory");
        copy(&written.path().join("data"), &copied.path().join("data"));
        Self(copied)
    }

    pub fn clone_of(other: &Self) -> Self {
        let copied = TempDir::new().expect("a temporary directory");
        copy(&other.data(), &copied.path().join("data"));
        Self(copied)
    }

    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub fn shard(&self, shard: u16) -> PathBuf {
        self.data().join(format!("shard-{shard:03}"))
    }

    /// The files that hold segments of a shard, the oldest first.
    pub fn segments(&self, shard: u16) -> Vec<PathBuf> {
        let files = find(&self.shard(shard)).expect("there are segments");
        let opened = files.iter().map(|file| OpenSegment::open(file).expect("it can be read"));
        let mut held: Vec<_> = opened.filter(|s| matches!(s.state, State::Open | State::Sealed)).collect();
        held.sort_by_key(|s| s.header().expect("it holds a segment").segment);
        held.into_iter().map(|s| s.path).collect()
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut all = vec!["log"];
        all.extend(arguments);
        let data = self.data();
        let data = data.to_str().expect("the path is text");
        all.push(data);
        ringmail(&all)
    }

    pub fn repair(&self, apply: bool) -> (i32, String) {
        self.run(if apply { &["repair", "--apply"] } else { &["repair"] })
    }

    /// All files and what is in them.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.data(), &mut files);
        files.retain(|path, _| !path.ends_with("ringmail.lock"));
        files
    }
}

/// Runs the binary; gives its exit code and what it printed.
pub fn ringmail(arguments: &[&str]) -> (i32, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_ringmail")).args(arguments).env_clear().output();
    let Output { status, stdout, stderr } = command.expect("the binary is built");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().expect("it was not killed"), text)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let bytes = fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
}

/// A frame of a segment file: where it begins, and where its entries do.
pub struct Frame {
    pub at: usize,
    pub bytes: usize,
    pub entries: Vec<(EntryHeader, usize)>,
}

/// The frames of a segment file.
pub fn frames(path: &Path) -> Vec<Frame> {
    let file = find(path).expect("it is a segment").remove(0);
    let mut frames = Vec::new();
    let take = |frame: &FoundFrame| {
        let at = frame.position as usize;
        let entries = frame.entries.iter().map(|(entry, within)| (*entry, at + within)).collect();
        frames.push(Frame { at, bytes: frame.header.frame_bytes(), entries });
        Ok::<(), OfflineError>(())
    };
    OpenSegment::open(&file).expect("it can be read").frames(|_| {}, take).expect("it can be read");
    frames
}

/// Changes a file.
pub fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file is there");
    change(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
}

/// Reads everything that there is, as a client would: on from where the last answer ended. Gives where each log ends, too.
pub fn contents(broker: &Broker) -> (Contents, BTreeMap<LogId, u64>) {
    let mut client = broker.client();
    let (mut contents, mut ends) = (Contents::new(), BTreeMap::new());
    for log in logs(&mut client) {
        let (first, end) = client.offsets(log);
        ends.insert(log, end);
        let mut at = first;
        while at < end {
            let frame = client.call(Api::Fetch, &fetch_request(log, at, 0));
            let response = frame.ok::<FetchResponse<'_>>();
            let Some(partition) = response.partitions.first() else { break };
            assert_eq!(partition.header.code, 0, "log {log} at {at}");
            if partition.batches.is_empty() {
                // What is left up to the end was given up.
                assert_eq!(partition.header.high_watermark, end);
                break;
            }
            for batch in Batches::new(partition.batches) {
                let batch = batch.expect("a batch");
                batch.check().expect("batches come as they were sent");
                let mut scratch = Vec::new();
                for record in batch.open(&mut scratch).expect("a batch that can be read").iter() {
                    let text = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
                    assert_eq!(text, value(log, record.offset), "log {log} offset {}", record.offset);
                    if record.offset >= at {
                        contents.insert((log, record.offset), text);
                        at = record.offset + 1;
                    }
                }
            }
        }
    }
    (contents, ends)
}

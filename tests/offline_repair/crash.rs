//! A repair that is stopped before any of its file operations, or in the middle of a write, does no harm, and the next finishes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use ringmail::offline::repair::{FileSystem, Files, repair};
use ringmail_wire::protocol::*;

use crate::client::{fetch_request, values};
use crate::store::{Contents, End, Store, damage, frames, start};
use crate::{all_of, check, lost, planned};

/// The file system, up to a crash.
struct UpTo {
    left: usize,
    done: usize,
}

impl UpTo {
    fn step(&mut self) -> io::Result<()> {
        self.done += 1;
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("crashed"))?;
        Ok(())
    }
}

impl Files for UpTo {
    fn create(&mut self, path: &Path, bytes: u64) -> io::Result<File> {
        self.step()?;
        FileSystem.create(path, bytes)
    }

    fn write(&mut self, file: &File, position: u64, data: &[u8], sync: bool) -> io::Result<()> {
        if self.left == 0 {
            // Of the last write a part reaches the disk.
            FileSystem.write(file, position, &data[..(data.len() / 2) & !511], sync)?;
        }
        self.step()?;
        FileSystem.write(file, position, data, sync)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.step()?;
        FileSystem.sync(file)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        FileSystem.remove(path)
    }

    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.step()?;
        FileSystem.create_directory(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        FileSystem.rename(from, to)
    }
}

/// Several kinds of damage in both shards.
fn damaged(end: End) -> Store {
    let store = Store::new(end);
    damage(&store.segments(0)[0], |bytes| bytes[..4096].fill(0xee));
    let segments = store.segments(1);
    damage(&segments[0], |bytes| bytes[200_000..230_000].fill(0xee));
    let frames = frames(&segments[1]);
    damage(&segments[1], |bytes| {
        bytes[frames[5].at] ^= 1;
        bytes[frames[9].entries[0].1 + 64 + 100] ^= 1;
    });
    store
}

#[test]
fn every_prefix_of_a_repair() {
    for end in [End::Stopped, End::Killed] {
        let before = all_of(&Store::new(end));
        let store = damaged(end);
        let gone = lost(&planned(&store));
        let mut whole = UpTo { left: usize::MAX, done: 0 };
        repair(&Store::clone_of(&store).data(), true, &mut whole, |_| {}).expect("it can be repaired");
        assert!(whole.done > 10, "{} operations", whole.done);
        // Brokers are started for some; all are repaired to the end.
        for steps in 0..whole.done {
            let crashed = Store::clone_of(&store);
            let mut some = UpTo { left: steps, done: 0 };
            let stopped = repair(&crashed.data(), true, &mut some, |_| {});
            assert!(stopped.is_err(), "{steps} of {} operations", whole.done);
            if steps % 4 == 0 {
                still_serves(&Store::clone_of(&crashed), &before, &gone);
            }
            let (code, said) = crashed.repair(true);
            assert!(code <= 1 && !said.contains("still damaged"), "after {steps} operations: {said}");
            if steps % 3 == 0 || steps + 6 > whole.done {
                check(&crashed, &before, &gone);
            }
        }
    }
}

/// Whatever state the crash has left: a broker serves nothing but what was written.
fn still_serves(store: &Store, before: &Contents, gone: &BTreeSet<(LogId, u64)>) {
    let broker = start(&store.data());
    let mut client = broker.client();
    for ((log, offset), value) in before.iter().filter(|(at, _)| !gone.contains(at)).step_by(29) {
        let frame = client.call(Api::Fetch, &fetch_request(*log, *offset, 0));
        let response = frame.ok::<FetchResponse<'_>>();
        let partition = response.partitions.first().expect("there is something, or an error");
        // What only the repair can lift may be refused before it is over.
        if partition.header.code == 0 {
            assert!(values(partition.batches).contains(value), "log {log} offset {offset}");
        }
    }
    broker.stop();
}

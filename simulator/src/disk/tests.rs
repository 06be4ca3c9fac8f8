//! What is durable when, and what crashes leave.

use super::*;

const FILE: FileId = FileId(1);

struct Driven {
    disk: Disk,
    next: u64,
}

impl Driven {
    fn new(seed: u64) -> Self {
        let mut driven = Self { disk: Disk::new(Rng::new(seed)), next: 0 };
        driven.run(IoOp::Create { file: FILE, bytes: 16 * BLOCK_BYTES as u64 }).expect("there is room");
        driven
    }

    fn begin(&mut self, op: IoOp) -> Ticket {
        self.next += 1;
        self.disk.submit(IoId(self.next), op).0
    }

    fn run(&mut self, op: IoOp) -> IoResult {
        let ticket = self.begin(op);
        self.disk.complete(ticket).expect("it is under way").1
    }

    fn block(&self, block: usize) -> u8 {
        let bytes =
            &self.disk.contents(FILE).expect("the file is there")[block * BLOCK_BYTES..][..BLOCK_BYTES];
        assert!(bytes.iter().all(|&b| b == bytes[0]), "the block is torn");
        bytes[0]
    }
}

fn write(block: usize, value: u8, dsync: bool) -> IoOp {
    let mut data = bytes::BytesMut::with_capacity(2 * BLOCK_BYTES);
    let skip = data.as_ptr().align_offset(BLOCK_BYTES);
    data.resize(skip + BLOCK_BYTES, value);
    let data = data.freeze().slice(skip..);
    IoOp::Write { file: FILE, position: (block * BLOCK_BYTES) as u64, data, dsync }
}

/// Whether `left` can be left in block 0 by a power cut after `before`.
fn may_be_left(left: u8, before: fn(&mut Driven)) -> bool {
    (0..200).any(|seed| {
        let mut driven = Driven::new(seed);
        before(&mut driven);
        driven.disk.cut_power();
        driven.disk.contents(FILE).expect("the file is there")[..BLOCK_BYTES].iter().all(|&b| b == left)
    })
}

#[test]
fn a_power_cut_keeps_what_is_synced_and_may_keep_or_lose_the_rest() {
    let unsynced = |driven: &mut Driven| assert!(driven.run(write(0, 7, false)).is_ok());
    assert!(may_be_left(7, unsynced) && may_be_left(0, unsynced));
    let synced = |driven: &mut Driven| {
        assert!(driven.run(write(0, 7, false)).is_ok() && driven.run(IoOp::Sync { file: FILE }).is_ok());
    };
    assert!(may_be_left(7, synced) && !may_be_left(0, synced));
}

#[test]
fn a_sync_covers_what_had_ended_when_it_was_submitted() {
    let overlapping = |driven: &mut Driven| {
        let first = driven.begin(write(0, 7, false));
        let sync = driven.begin(IoOp::Sync { file: FILE });
        driven.disk.complete(first);
        driven.disk.complete(sync);
    };
    assert!(may_be_left(0, overlapping), "the write had not ended yet");
    let dsync = |driven: &mut Driven| {
        assert!(driven.run(write(0, 7, false)).is_ok() && driven.run(write(1, 8, true)).is_ok());
    };
    assert!(!may_be_left(0, dsync), "a dsync write covers what was written before");
}

#[test]
fn what_is_durable_is_not_undone_by_what_was_written_before_it() {
    let twice = |driven: &mut Driven| {
        let sync = driven.begin(write(0, 9, true));
        let first = driven.begin(write(0, 7, false));
        driven.disk.complete(first);
        driven.disk.complete(sync);
    };
    assert!(may_be_left(9, twice) && !may_be_left(0, twice) && !may_be_left(7, twice));
}

#[test]
fn a_failed_sync_makes_nothing_durable_and_a_later_one_neither() {
    let failed = |driven: &mut Driven| {
        assert!(driven.run(write(0, 7, false)).is_ok());
        driven.disk.faults.sync_error = 1;
        assert!(driven.run(IoOp::Sync { file: FILE }).is_err());
        driven.disk.faults.sync_error = 0;
        assert!(driven.run(IoOp::Sync { file: FILE }).is_ok());
    };
    assert!(may_be_left(0, failed));
}

#[test]
fn a_killed_process_loses_only_what_is_under_way() {
    for seed in 0..50 {
        let mut driven = Driven::new(seed);
        assert!(driven.run(write(0, 7, false)).is_ok());
        driven.begin(write(1, 8, false));
        driven.disk.kill();
        assert_eq!(driven.block(0), 7);
    }
}

#[test]
fn sectors_are_torn_apart() {
    let torn = (0..100).any(|seed| {
        let mut driven = Driven::new(seed);
        assert!(driven.run(write(0, 7, false)).is_ok());
        driven.disk.cut_power();
        let bytes = &driven.disk.contents(FILE).expect("the file is there")[..BLOCK_BYTES];
        assert!(bytes.chunks(SECTOR_BYTES).all(|s| s.iter().all(|&b| b == s[0])), "sectors are whole");
        bytes.contains(&7) && bytes.contains(&0)
    });
    assert!(torn);
}

#[test]
fn a_full_disk_refuses_files_and_has_room_again() {
    let mut driven = Driven::new(1);
    driven.disk.capacity = driven.disk.used_bytes();
    let create = || IoOp::Create { file: FileId(2), bytes: BLOCK_BYTES as u64 };
    assert_eq!(driven.run(create()), Err(IoError::Full));
    driven.disk.capacity *= 2;
    assert_eq!(driven.run(create()), Ok(IoDone::Ok));
}

//! The kinds of damage.

use std::fs;
use std::path::PathBuf;

use ringmail_shards::format::entry::{EntryHeader, EntryKind};

use crate::store::{End, Store, damage, frames};

/// A directory that was damaged, and what is to be said of it.
pub struct Damaged {
    pub kind: &'static str,
    pub store: Store,
    /// What each line that `verify` prints about it must have.
    pub says: Vec<String>,
    /// The log and the offsets that cannot be read any more.
    pub lost: Vec<EntryHeader>,
}

/// The oldest segment of shard 1 that others follow and precede.
const MIDDLE: usize = 1;

fn name(path: &std::path::Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

fn offsets(entry: &EntryHeader) -> String {
    format!("log {}, offsets {}-{}", entry.log, entry.base_offset, entry.end_offset() - 1)
}

fn damaged(
    kind: &'static str,
    end: End,
    make: impl FnOnce(&Store) -> (Vec<String>, Vec<EntryHeader>),
) -> Damaged {
    let store = Store::new(end);
    let (says, lost) = make(&store);
    Damaged { kind, store, says, lost }
}

fn sealed(store: &Store) -> PathBuf {
    store.segments(1)[MIDDLE].clone()
}

/// Breaks the payload of an entry of a frame in the file.
fn break_payload(path: &std::path::Path, frame: usize) -> (Vec<String>, Vec<EntryHeader>) {
    let frame = frames(path).swap_remove(frame);
    let (entry, at) = *frame.entries.iter().find(|e| e.0.kind == EntryKind::Records).expect("records");
    damage(path, |bytes| bytes[at + 64 + 100] ^= 1);
    let says = vec![
        name(path),
        format!("byte {at}, segment "),
        ", frame ".to_owned(),
        offsets(&entry),
        "the entry payload's CRC is wrong".to_owned(),
    ];
    (says, vec![entry])
}

fn says(path: &std::path::Path, words: &[&str]) -> Vec<String> {
    std::iter::once(name(path)).chain(words.iter().map(|&word| word.to_owned())).collect()
}

/// What an entry of records in the file was.
fn entries(path: &std::path::Path) -> Vec<EntryHeader> {
    let frames = frames(path);
    let entries = frames.iter().flat_map(|f| &f.entries).map(|e| e.0);
    entries.filter(|e| e.kind == EntryKind::Records).collect()
}

pub fn a_sealed_middle() -> Damaged {
    damaged("sealed middle", End::Stopped, |store| break_payload(&sealed(store), 9))
}

pub fn an_unsealed_middle() -> Damaged {
    damaged("unsealed tail", End::Killed, |store| {
        let path = store.segments(1).pop().expect("there are segments");
        break_payload(&path, 1)
    })
}

pub fn a_missing_file() -> Damaged {
    damaged("missing file", End::Stopped, |store| {
        let path = sealed(store);
        let lost = entries(&path);
        fs::remove_file(&path).expect("it is there");
        (
            vec![
                "shard-001".to_owned(),
                format!("log {}, offsets ", lost[0].log),
                "no segment holds them".to_owned(),
            ],
            lost,
        )
    })
}

/// Every kind.
pub fn all() -> Vec<Damaged> {
    vec![
        a_sealed_middle(),
        an_unsealed_middle(),
        a_missing_file(),
        damaged("sections of a footer", End::Stopped, |store| {
            let path = sealed(store);
            let footer = frames(&path).last().map(|f| f.at + f.bytes).expect("it has frames");
            let at = fs::read(&path).expect("it is there")[footer..].iter().position(|&byte| byte != 0);
            damage(&path, |bytes| bytes[footer + at.expect("a footer") + 1] ^= 1);
            (
                says(&path, &[", segment ", "log ", "a section of the footer is damaged", "makes up for it"]),
                Vec::new(),
            )
        }),
        damaged("end of a footer", End::Stopped, |store| {
            let path = sealed(store);
            damage(&path, |bytes| *bytes.iter_mut().rev().nth(20).expect("a trailer") ^= 1);
            (
                says(
                    &path,
                    &[
                        "byte ",
                        ", segment ",
                        "the end of the footer is damaged",
                        "the next start builds it again",
                    ],
                ),
                Vec::new(),
            )
        }),
        damaged("segment header", End::Stopped, |store| {
            let path = sealed(store);
            damage(&path, |bytes| bytes[20] ^= 1);
            (says(&path, &["byte 0, segment ", "the first block is damaged"]), Vec::new())
        }),
        damaged("file of another shard", End::Stopped, |store| {
            let path = store.shard(1).join("00000000000000aa.seg");
            fs::copy(&store.segments(0)[0], &path).expect("a file");
            (says(&path, &["byte 0, segment ", "the segment is of shard 0", "move it"]), Vec::new())
        }),
        damaged("truncated file", End::Stopped, |store| {
            let path = sealed(store);
            let cut = frames(&path)[20].at;
            let lost = frames(&path)[20..].iter().flat_map(|f| &f.entries).map(|e| e.0).collect::<Vec<_>>();
            damage(&path, |bytes| bytes.truncate(cut));
            let records = lost.into_iter().filter(|e| e.kind == EntryKind::Records).collect();
            (
                says(
                    &path,
                    &[&format!("byte {cut}, segment "), "the file is cut short: it had 1048576 bytes"],
                ),
                records,
            )
        }),
        damaged("empty file", End::Stopped, |store| {
            let path = sealed(store);
            let lost = entries(&path);
            damage(&path, Vec::clear);
            (says(&path, &["the file is empty"]), lost)
        }),
    ]
}

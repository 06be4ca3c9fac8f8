//! Whole directories of a shard: files that a shard has written, changed in any way, as a start finds them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use arbitrary::Unstructured;
use ringmail_shards::config::LogConfig;
use ringmail_shards::io::{BLOCK_BYTES, FileId};
use ringmail_shards::shard::{Acks, Payload, Shard, Token};
use ringmail_wire::batch::{BatchBuilder, Compression};

use crate::disk::Disk;
use crate::footer::sign_trailer;
use crate::frames::number;
use crate::segment::{recover, settings, sign_block};

/// Changes of one input.
const MAX_CHANGES: usize = 24;

/// Files that a directory may have in all.
const MAX_FILES: usize = 8;

/// Segments that the written shard has sealed.
const SEALED: usize = 3;

/// The files of a directory.
pub(crate) type Files = BTreeMap<FileId, Vec<u8>>;

/// Starts a shard over the directory that the input stands for.
pub fn directory(input: &[u8]) {
    recover(changed(input));
}

/// What a shard has written, with the changes that the input stands for.
pub(crate) fn changed(input: &[u8]) -> Files {
    static WRITTEN: OnceLock<Files> = OnceLock::new();
    let mut files = WRITTEN.get_or_init(written).clone();
    let mut u = Unstructured::new(input);
    for _ in 0..MAX_CHANGES {
        // Running out of input ends the changes; it is not an error.
        if u.is_empty() || files.is_empty() || change(&mut u, &mut files).is_err() {
            break;
        }
    }
    files
}

/// The files of a shard that was killed: some segments are sealed, one is not, and one waits to be used. Records of three
/// logs are in them; of one the start was moved, another was deleted.
fn written() -> Files {
    let mut disk = Disk::default();
    let mut shard = Shard::open(settings(), &[], 1000);
    disk.run(&mut shard);
    (1..=3).for_each(|log| shard.put_log(log, LogConfig::KEEP));
    let mut builder = BatchBuilder::new(4000, Compression::None);
    builder.push(1000, None, Some(&[b'v'; 1500]), &[]).expect("it fits");
    builder.push(1001, Some(b"key"), None, &[]).expect("it fits");
    let mut batch = Vec::new();
    builder.finish_into(&mut batch);
    for round in 0.. {
        if shard.stats().segments as usize > SEALED {
            break;
        }
        for log in (1..=3).filter(|log| *log != 2 || round < 10) {
            shard.append(log, Payload::Ringmail(&batch), Acks::Synced, Token(0)).expect("the shard is open");
        }
        if round == 10 {
            shard.drop_log(2);
            shard.delete_records(1, 5, Token(1)).expect("the shard is open");
        }
        shard.tick(1000 + round);
        disk.run(&mut shard);
    }
    disk.into_files()
}

/// One change to the files.
fn change(u: &mut Unstructured<'_>, files: &mut Files) -> arbitrary::Result<()> {
    let ids: Vec<FileId> = files.keys().copied().collect();
    let (id, other) = (*u.choose(&ids)?, *u.choose(&ids)?);
    let kind = u.int_in_range(0..=9)?;
    match kind {
        0 => drop(files.remove(&id)),
        1 if files.len() < MAX_FILES => {
            let copy = files[&id].clone();
            files.insert(FileId(100 + u64::from(u.int_in_range(0..=9_u8)?)), copy);
        }
        2 => {
            let (from, to) = (block(u)?, block(u)?);
            let bytes = files[&other].get(from).map(<[u8]>::to_vec);
            if let (Some(bytes), Some(into)) = (bytes, file(files, id).get_mut(to)) {
                into.copy_from_slice(&bytes);
            }
        }
        3 => {
            let bytes = usize::from(u.arbitrary::<u8>()?) * BLOCK_BYTES / 8;
            file(files, id).resize(bytes, 0);
        }
        4 => sign_trailer(file(files, id)),
        _ => {
            let at = block(u)?;
            if let Some(bytes) = file(files, id).get_mut(at) {
                change_block(u, kind, bytes)?;
            }
        }
    }
    Ok(())
}

fn file(files: &mut Files, id: FileId) -> &mut Vec<u8> {
    files.get_mut(&id).expect("it was chosen out of them")
}

/// The place of one of the first blocks of a file.
fn block(u: &mut Unstructured<'_>) -> arbitrary::Result<std::ops::Range<usize>> {
    let block = usize::from(u.int_in_range(0..=16_u8)?);
    Ok(block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES)
}

/// One change to a block: at its start, where headers are, or at its end, where a footer ends.
fn change_block(u: &mut Unstructured<'_>, kind: u8, block: &mut [u8]) -> arbitrary::Result<()> {
    if kind == 5 {
        block.fill(0);
        return Ok(());
    }
    let within = usize::from(u.arbitrary::<u8>()?);
    let at = if u.ratio(1, 4)? { block.len() - 1 - within } else { within };
    match kind {
        6 => block[at] ^= 1 << u.int_in_range(0..=7)?,
        7 => {
            let any: &[u8] = u.arbitrary()?;
            let length = any.len().min(block.len() - at);
            block[at..at + length].copy_from_slice(&any[..length]);
        }
        _ => {
            let width = (*u.choose(&[1, 2, 4, 8])?).min(block.len() - at);
            block[at..at + width].copy_from_slice(&number(u)?.to_le_bytes()[..width]);
        }
    }
    // Most changes would otherwise end at a checksum.
    if u.ratio(3, 4)? {
        sign_block(block);
    }
    Ok(())
}

//! Bandwidth and sync rate of the file system under test.
//!
//! All writes go over extents that are already written: a log that recycles its segments does the same, and the file
//! system then has nothing to record in its journal.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use super::ring::{Operation, Rounds};
use super::{Probe, Tally, on_core, pages::PAGE};
use crate::error::{Error, Result};
use crate::load::{Content, Window};

const MIB: usize = 1 << 20;
/// Operations in flight of the bandwidth probes.
const STREAM_DEPTH: usize = 4;
/// Name of the probes' file.
const FILE_NAME: &str = "limits.probe";
/// Not counted at the start of a probe.
const WARM_UP: Duration = Duration::from_millis(150);

pub fn stream_synced(probe: &Probe) -> Result<Tally> {
    run(probe, MIB, STREAM_DEPTH, Operation::WriteAndSync)
}

pub fn stream_unsynced(probe: &Probe) -> Result<Tally> {
    run(probe, MIB, STREAM_DEPTH, Operation::Write)
}

pub fn read(probe: &Probe) -> Result<Tally> {
    run(probe, MIB, STREAM_DEPTH, Operation::Read)
}

pub fn sync(probe: &Probe, depth: usize) -> Result<Tally> {
    run(probe, PAGE, depth, Operation::WriteAndSync)
}

fn run(probe: &Probe, block: usize, depth: usize, operation: Operation) -> Result<Tally> {
    on_core(probe.cores.broker, || {
        let file = written_file(probe)?;
        let window = Window::new(Instant::now(), WARM_UP, probe.length);
        Rounds { file: &file, span: probe.span, block, depth, operation }.run(window)
    })
}

/// Opens the probes' file, all of it written. An earlier, complete one is used as it is: it only ever grows by writes,
/// so that its length says how much is written.
fn written_file(probe: &Probe) -> Result<File> {
    fs::create_dir_all(&probe.dir).map_err(Error::file("create", &probe.dir))?;
    let path = probe.dir.join(FILE_NAME);
    let mut filling =
        OpenOptions::new().append(true).create(true).open(&path).map_err(Error::file("open", &path))?;
    let mut written = filling.metadata().map_err(Error::file("read", &path))?.len();
    if written < probe.span {
        let mut block = Vec::with_capacity(MIB);
        Content::new(1, 0, MIB).append(0, &mut block);
        while written < probe.span {
            let rest = MIB - (written % MIB as u64) as usize;
            filling.write_all(&block[..rest]).map_err(Error::file("fill", &path))?;
            written += rest as u64;
        }
        filling.sync_all().map_err(Error::file("sync", &path))?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .map_err(Error::file("open with O_DIRECT", path))
}

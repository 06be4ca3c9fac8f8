//! `ringmail log`: a look into segment files, without a broker.

mod dump;
mod record;
mod repair;
mod verify;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::node::datadir::DataDirError;
use crate::offline::repair::RepairError;
use crate::offline::{OfflineError, SegmentPath, find};

/// Look into stored segments without a broker, or repair them
///
/// `dump` and `verify` do not disturb a broker that runs; `repair` needs it to be stopped.
#[derive(Debug, clap::Args)]
pub struct LogCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Dump(dump::Dump),
    Verify(verify::Verify),
    Repair(repair::Repair),
}

/// What is to be looked into.
#[derive(Debug, clap::Args)]
struct Paths {
    /// Data directories, directories of shards, or .seg files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// The segments could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Files cannot be found or read.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// Segments cannot be repaired.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// Standard output does not take the outcome.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl LogError {
    /// Whether it was called in a wrong way.
    pub(super) fn is_usage(&self) -> bool {
        let no_data = |error: &RepairError| matches!(error, RepairError::DataDir(DataDirError::NoData(_)));
        match self {
            Self::Offline(error) => matches!(error, OfflineError::NoSegments(_)),
            Self::Repair(error) => no_data(error),
            Self::Output(_) => false,
        }
    }

    /// Whether the reader of the output has seen enough and closed its end, such as `head`.
    fn is_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl LogCommand {
    /// Prints what is stored, verifies it, or repairs it.
    ///
    /// # Errors
    /// If there is nothing, or it cannot be read or printed.
    pub fn run(self) -> Result<ExitCode, LogError> {
        self.write_to(&mut BufWriter::new(io::stdout().lock()))
    }

    /// Writes to `out` what [`run`](Self::run) prints.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn write_to(self, out: &mut impl Write) -> Result<ExitCode, LogError> {
        let done = match self.action {
            Action::Dump(dump) => dump.run(out),
            Action::Verify(verify) => verify.run(out),
            Action::Repair(repair) => repair.run(out),
        };
        let flushed = done.and_then(|code| Ok(out.flush().map(|()| code)?));
        match flushed {
            Err(error) if error.is_enough() => Ok(ExitCode::SUCCESS),
            flushed => flushed,
        }
    }
}

impl Paths {
    /// The segment files, by the shard or path that they were found under.
    fn find(&self) -> Result<Vec<Vec<SegmentPath>>, OfflineError> {
        let mut groups: Vec<Vec<SegmentPath>> = Vec::new();
        for path in &self.paths {
            for file in find(path)? {
                match groups.last_mut().filter(|group| group[0].shard == file.shard) {
                    Some(group) => group.push(file),
                    None => groups.push(vec![file]),
                }
            }
        }
        Ok(groups)
    }
}

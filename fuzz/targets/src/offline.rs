//! `ringmail log verify` and `ringmail log dump`, over files that a shard has written, changed in any way.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use clap::{Args, Command, FromArgMatches};
use ringmail::cli::log::LogCommand;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::directory::changed;

/// What is asked of the command, but for the files.
const COMMANDS: &[&[&str]] = &[&["verify"], &["dump", "--frames", "--entries"], &["dump", "--records"]];

/// Looks into the files that the input stands for.
pub fn offline(input: &[u8]) {
    let files: Vec<File> = changed(input).into_values().map(|bytes| in_memory(&bytes)).collect();
    if files.is_empty() {
        return;
    }
    let paths: Vec<String> = files.iter().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd())).collect();
    for command in COMMANDS {
        let words = ["log"].iter().chain(*command).copied().chain(paths.iter().map(String::as_str));
        let command = LogCommand::augment_args(Command::new("log"));
        let matches = command.try_get_matches_from(words).expect("the words are right");
        let log = LogCommand::from_arg_matches(&matches).expect("the words are right");
        log.write_to(&mut std::io::sink()).expect("files in memory can be read");
    }
}

/// A file that is in memory alone.
fn in_memory(bytes: &[u8]) -> File {
    let descriptor = memfd_create("segment", MemfdFlags::CLOEXEC).expect("the system has memory");
    let mut file = File::from(descriptor);
    file.write_all(bytes).expect("the system has memory");
    file
}

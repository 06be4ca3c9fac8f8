//! What a command can fail with, and the exit code that says so.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use ringmail_sdk::{Error, ErrorCode};

use super::config::ConfigCommandError;
use super::doctor::DoctorError;
use super::log::LogError;
use super::output::OutputError;
use super::serve::ServeError;

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
const NOT_REACHED: u8 = 3;

/// Why a command failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The broker could not be reached.
    #[error(
        "cannot connect to {server}: {cause}; is the broker running? \
         Start one with `ringmail serve`, or name another with --server"
    )]
    Connect { server: String, cause: String },
    /// There is no such topic.
    #[error(
        "there is no topic `{0}`; create it with `ringmail topic create {0}`, or see `ringmail topic list`"
    )]
    UnknownTopic(String),
    /// The topic is there already.
    #[error("there is a topic `{0}` already; change it with `ringmail topic alter {0}`")]
    TopicExists(String),
    /// An offset to read from that the partition does not have.
    #[error(
        "offset {offset} is out of range in partition {partition} of `{topic}`; \
         see `ringmail topic describe {topic}`, or use --from start"
    )]
    OutOfRange { topic: String, partition: u32, offset: u64 },
    /// Another failure of the client or the broker.
    #[error(transparent)]
    Sdk(Error),
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Read { path: PathBuf, cause: io::Error },
    /// A line that is no record.
    #[error("line {line} has no `{separator}` between key and value; {sent} records were sent before it")]
    NoSeparator { line: u64, separator: String, sent: u64 },
    /// Records that were sent and not stored.
    #[error("{stored} of {sent} records were stored; the first failure: {cause}")]
    NotAllStored { stored: u64, sent: u64, cause: Error },
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Config(#[from] ConfigCommandError),
    #[error(transparent)]
    Doctor(#[from] DoctorError),
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        match error {
            Error::Connect { server, cause } => Self::Connect { server, cause: cause.to_string() },
            Error::UnknownTopic(topic) => Self::UnknownTopic(topic),
            Error::OffsetOutOfRange { topic, partition, offset, .. } => {
                Self::OutOfRange { topic, partition, offset }
            }
            error => Self::Sdk(error),
        }
    }
}

impl CliError {
    /// The error of a request about `topic`, in words that name it.
    pub fn about(topic: &str) -> impl FnOnce(Error) -> Self {
        move |error| match error.code() {
            Some(ErrorCode::UnknownTopic) => Self::UnknownTopic(topic.to_owned()),
            Some(ErrorCode::TopicExists) => Self::TopicExists(topic.to_owned()),
            _ => error.into(),
        }
    }

    /// The code that scripts see.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Connect { .. } => NOT_REACHED,
            Self::Sdk(Error::Config(_)) | Self::Serve(ServeError::Config(_)) => WRONG_USAGE,
            Self::Config(ConfigCommandError::Config(_)) | Self::Doctor(DoctorError::Config(_)) => WRONG_USAGE,
            Self::Log(error) if error.is_usage() => WRONG_USAGE,
            _ => FAILED,
        }
        .into()
    }
}

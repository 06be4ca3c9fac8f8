//! The one error type of the load generator.

use std::io;
use std::path::PathBuf;

/// Why a measurement could not be taken, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be used.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb: "open", "read".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An operation of the operating system failed.
    #[error("{action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The broker under test did not behave.
    #[error("the broker {0}")]
    Broker(String),
    /// A client call failed.
    #[error("the client {0}")]
    Client(String),
    /// A consumer read something else than what the producer wrote.
    #[error("wrong content: {0}")]
    Content(String),
    /// A name or value on the command line is not known.
    #[error("{0}")]
    Usage(String),
}

/// Result with [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on operations on a named file.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// For `map_err` on operations without a file.
    pub fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}

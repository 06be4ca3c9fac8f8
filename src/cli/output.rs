//! Printing to standard output.

use std::io::{self, ErrorKind, Write};

/// Prints `text`. A reader that has seen enough and closed its end, such as `head`, is no error.
///
/// # Errors
/// If standard output takes no more for another reason.
pub(super) fn print(text: &str) -> Result<(), OutputError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
        _ => Ok(()),
    }
}

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct OutputError(#[from] io::Error);

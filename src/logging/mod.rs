//! Setting up what is logged: events of `tracing`, written to standard error by a thread of their own.

mod writer;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogFormat, Logging};
use writer::Lines;
pub use writer::LoggingGuard;

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// A word that is neither a level nor a directive.
    #[error(
        "{0:?} is not a level: write error, warn, info, debug, trace or off, or TARGET=LEVEL for one module"
    )]
    Level(String),
    /// A directive that cannot be read.
    #[error("{0}: write a level such as info, or levels by module such as \"info,ringmail::node=debug\"")]
    Directive(#[from] ParseError),
    /// The process logs already.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] TryInitError),
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[from] io::Error),
}

/// Starts to log for the whole process, as `config` says. What was logged until the guard is dropped is
/// written out then.
///
/// # Errors
/// If the level is not valid, if the process logs already, or if no thread can be started.
pub fn init(config: &Logging) -> Result<LoggingGuard, LoggingError> {
    let filter = filter(&config.level)?;
    let (lines, guard) = Lines::start(io::stderr())?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match config.format {
        LogFormat::Human => try_init(builder.with_ansi(colour_wanted(&io::stderr())).finish()),
        LogFormat::Json => try_init(builder.json().flatten_event(true).with_span_list(false).finish()),
    }?;
    Ok(guard)
}

fn try_init(subscriber: impl Into<tracing::Dispatch>) -> Result<(), TryInitError> {
    tracing_subscriber::util::SubscriberInitExt::try_init(subscriber)
}

/// Whether to colour what is written to `stream`: colours are for people at a terminal who have not asked for
/// none (<https://no-color.org>).
pub fn colour_wanted(stream: &impl IsTerminal) -> bool {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !declined
}

/// The filter that `level` describes, in the syntax of [`EnvFilter`].
///
/// # Errors
/// If `level` is not in that syntax. A misspelt level is refused too, though the syntax would take it for a
/// module's name.
pub fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    // Inside the brackets of a span filter a comma or a bare word is ordinary.
    let plain = !level.contains('[');
    let mut words = level.split(',').map(str::trim).filter(|word| !word.contains('='));
    if plain && let Some(word) = words.find(|word| !is_level(word)) {
        return Err(LoggingError::Level(word.to_owned()));
    }
    Ok(EnvFilter::try_new(level)?)
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_taken() {
        for level in ["info", "WARN", "off", "info,ringmail::node=debug", "[session{peer}]"] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for level in ["", "inof", "info,ringmail", "ringmail=loud"] {
            let error = filter(level).unwrap_err().to_string();
            assert!(error.contains("write"), "{level}: {error}");
        }
    }
}

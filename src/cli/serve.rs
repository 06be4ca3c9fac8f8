//! `ringmail serve`: the broker.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::output::print;
use crate::config::{ConfigArgs, ConfigError};
use crate::logging::{self, LoggingError};
use crate::node::error::StartError;
use crate::node::start::{self, Ready};
use crate::runtime::shutdown::Shutdown;

/// Run the broker
///
/// Prints one line once it is ready, `ringmail: ready native=HOST:PORT shards=PORT,... kafka=HOST:PORT kafka_shards=PORT,...`,
/// and logs to standard error.
/// SIGTERM or SIGINT stops it in an orderly way; a second signal at once.
#[derive(Debug, clap::Args)]
pub struct ServeCommand {
    #[command(flatten)]
    config: ConfigArgs,
}

/// The broker did not start, or ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can be logged.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// Anything else.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ServeCommand {
    /// Runs the broker until it is told to stop.
    ///
    /// # Errors
    /// If it cannot start, or ends otherwise than by request.
    pub fn run(self) -> Result<ExitCode, ServeError> {
        let config = self.config.load()?;
        let shutdown = Shutdown::new();
        // Before any other thread is started, the one that writes the log included.
        shutdown.on_signals().map_err(StartError::Signals)?;
        let _logging = logging::init(&config.logging)?;
        start::run(&config, &shutdown, |ready| {
            // Serving goes on even if nobody reads this.
            if let Err(error) = print(&announcement(ready)) {
                tracing::warn!(%error, "cannot say that the broker is ready");
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for programs, then a few for people.
fn announcement(ready: &Ready) -> String {
    let at =
        |address: Option<SocketAddr>| address.map_or_else(|| "off".to_owned(), |address| address.to_string());
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let (native, shards) = (at(ready.native), list(&ready.shard_ports));
    let (kafka, kafka_shards) = (at(ready.kafka), list(&ready.kafka_shard_ports));
    let mut text = format!(
        "ringmail: ready native={native} shards={shards} kafka={kafka} kafka_shards={kafka_shards}\n"
    );
    let age = if ready.fresh { "new data" } else { "data" };
    let _ = writeln!(text, "{age} in {}; stop with Ctrl-C, nothing is lost", ready.data.display());
    if let Some(address) = ready.native {
        let server = if address.port() == 7411 && address.ip().is_loopback() {
            String::new()
        } else {
            format!(" --server {address}")
        };
        let _ = writeln!(text, "create a topic:   ringmail topic create greetings{server}");
        let _ = writeln!(text, "send a message:   echo hello | ringmail produce greetings{server}");
        let _ = writeln!(text, "read from it:     ringmail consume greetings --from start{server}");
    }
    text
}

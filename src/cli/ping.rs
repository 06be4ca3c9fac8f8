//! `ringmail ping`: is the broker there, and how long does an answer take.

use std::thread::sleep;
use std::time::Duration;

use super::error::CliError;
use super::output::print;
use super::server::ServerArgs;

/// Pause between two pings.
const PAUSE: Duration = Duration::from_secs(1);

/// Ask the broker for an answer, and print how long it took
#[derive(Debug, clap::Args)]
pub(super) struct PingCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// How many times, once a second
    #[arg(long, short = 'c', value_name = "N", default_value_t = 1)]
    count: u32,
}

impl PingCommand {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.server.connect()?;
        let info = client.server()?;
        for n in 0..self.count {
            if n > 0 {
                sleep(PAUSE);
            }
            let took = client.ping()?.as_secs_f64() * 1000.0;
            print(&format!(
                "{}: {}, shard {}, {took:.3} ms\n",
                self.server.address(),
                info.server,
                info.shard
            ))?;
        }
        Ok(())
    }
}

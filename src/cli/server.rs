//! The broker that a command talks to.

use ringmail_sdk::blocking::Client;
use ringmail_sdk::{ClientConfig, DEFAULT_PORT};

use super::error::CliError;

/// Which broker to talk to.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// The broker's address
    #[arg(long, value_name = "HOST[:PORT]", env = "RINGMAIL_SERVER", default_value_t = default_server())]
    server: String,
}

fn default_server() -> String {
    format!("127.0.0.1:{DEFAULT_PORT}")
}

impl ServerArgs {
    /// Connects.
    pub fn connect(&self) -> Result<Client, CliError> {
        let name = concat!("ringmail-cli ", env!("CARGO_PKG_VERSION")).to_owned();
        Ok(Client::with_config(&self.server, ClientConfig { name, ..ClientConfig::default() })?)
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.server
    }
}

//! Where a protocol is served.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address that a listener binds, written `IP:PORT` (port 0 takes a free one), or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListenAddress {
    /// The protocol is not served.
    Off,
    /// The protocol is served here.
    At(SocketAddr),
}

impl ListenAddress {
    /// The address, unless the listener is off.
    pub const fn get(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

/// The text is not an address to listen on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address to listen on: write IP:PORT, such as \"127.0.0.1:7411\" or \"[::]:7411\", or \"off\""
)]
pub struct ParseListenAddressError(String);

impl FromStr for ListenAddress {
    type Err = ParseListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| ParseListenAddressError(text.to_owned())),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = ParseListenAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["off", "127.0.0.1:7411", "[::]:0"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(ListenAddress::Off.get(), None);
    }

    #[test]
    fn host_names_and_missing_ports_are_refused_with_an_example() {
        for text in ["localhost:7411", "127.0.0.1", ":7411", "Off", ""] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains("IP:PORT"), "{error}");
        }
    }
}

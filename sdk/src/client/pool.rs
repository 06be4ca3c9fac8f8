//! The connections of a client: mostly one for each endpoint, made when it is needed and again when it was lost.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::ClientConfig;
use super::driver::Driver;
use super::link::{Link, NewLink};
use crate::Error;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port`, or a host alone, which gets the default port.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn parse(address: &str) -> Result<Self, Error> {
        let unreadable = || {
            Error::Config(format!("`{address}` is no server address; write host:port, like 127.0.0.1:7411"))
        };
        let is_bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !is_bare_v6 && !address.ends_with(']') => {
                (host, port.parse().map_err(|_| unreadable())?)
            }
            _ => (address, super::DEFAULT_PORT),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || port == 0 {
            return Err(unreadable());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The connection of one endpoint. Its lock is held while connecting, so that it is done once for all who
/// need it.
#[derive(Debug, Default)]
struct Slot {
    link: Option<Link>,
    failures: u32,
    not_before: Option<Instant>,
}

type SharedSlot = Arc<tokio::sync::Mutex<Slot>>;

/// All connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    config: ClientConfig,
    /// By endpoint, and by number if there are several connections to one.
    slots: Mutex<HashMap<(Endpoint, usize), SharedSlot>>,
}

impl Pool {
    pub fn new(config: ClientConfig) -> Self {
        Self { config, slots: Mutex::default() }
    }

    /// The `nth` connection to `endpoint`, after one attempt to connect if there is none. An attempt that
    /// follows on failures waits first, longer after each.
    pub async fn link(&self, endpoint: &Endpoint, nth: usize) -> Result<Link, Error> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry((endpoint.clone(), nth)).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(link) = slot.link.as_ref().filter(|link| link.is_open()) {
            return Ok(link.clone());
        }
        if let Some(not_before) = slot.not_before {
            sleep_until(not_before).await;
        }
        match self.connect(endpoint).await {
            Ok(link) => {
                *slot = Slot { link: Some(link.clone()), ..Slot::default() };
                Ok(link)
            }
            Err(error) => {
                slot.failures += 1;
                slot.not_before = Some(Instant::now() + self.config.backoff(slot.failures));
                Err(error)
            }
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Link, Error> {
        let server = endpoint.to_string();
        let after = self.config.connect_timeout;
        let failed = |cause| Error::Connect { server: server.clone(), cause: Arc::new(cause) };
        let deadline = Instant::now() + after;
        let stream = timeout(after, TcpStream::connect((endpoint.host.as_str(), endpoint.port)))
            .await
            .map_err(|_| failed(timed_out("no answer to the connection request", after)))?
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;

        let (link, link_end) = NewLink::pair();
        let (ready, handshake) = oneshot::channel();
        let driver = Driver::new(&self.config.name, server.clone(), self.config.request_timeout, ready);
        tokio::spawn(driver.run(stream, link_end));
        match tokio::time::timeout_at(deadline, handshake).await {
            Ok(Ok(info)) => Ok(link.into_link(info?)),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(failed(timed_out("no answer to the handshake", after))),
        }
    }
}

fn timed_out(what: &str, after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {after:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let read = |a: &str| Endpoint::parse(a).map(|e| (e.host.clone(), e.port, e.to_string()));
        let is = |a: &str, host: &str, port: u16, shown: &str| {
            assert_eq!(read(a).unwrap(), (host.to_owned(), port, shown.to_owned()), "{a}");
        };
        is("127.0.0.1:80", "127.0.0.1", 80, "127.0.0.1:80");
        is("localhost", "localhost", 7411, "localhost:7411");
        is("[::1]:80", "::1", 80, "[::1]:80");
        is("[::1]", "::1", 7411, "[::1]:7411");
        is("::1", "::1", 7411, "[::1]:7411");
        for wrong in ["", ":80", "host:", "host:port", "host:70000", "host:0"] {
            assert!(matches!(read(wrong), Err(Error::Config(_))), "{wrong}");
        }
    }
}

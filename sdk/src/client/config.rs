//! Settings of a client.

use std::time::Duration;

/// Settings of a [`crate::Client`]; `..Default::default()` fills in the rest.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Name of the application, for the broker's log. Default: `ringmail-sdk` and its version.
    pub name: String,
    /// How long connecting and the handshake may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a request may take, with every repetition that is safe; also the silence after which a
    /// connection that owes an answer is given up. Default 30 s.
    pub request_timeout: Duration,
    /// Age at which a producer asks for its topic again, to learn of added partitions. Default 5 minutes.
    pub metadata_max_age: Duration,
    /// The pause before the second attempt to connect; it doubles with every further one. Default 50 ms.
    pub min_backoff: Duration,
    /// The longest pause between attempts to connect, or to send again. Default 1 s.
    pub max_backoff: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            name: concat!("ringmail-sdk ", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            metadata_max_age: Duration::from_secs(300),
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
        }
    }
}

impl ClientConfig {
    /// The pause after so many failures in a row.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        match failures {
            0 => Duration::ZERO,
            n => self.min_backoff.saturating_mul(1 << (n - 1).min(16)).min(self.max_backoff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = ClientConfig::default();
        let pauses: Vec<u128> = (0..8).map(|n| config.backoff(n).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(config.backoff(u32::MAX).as_millis(), 1000);
    }
}

//! Waiting for a broker that may never answer.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Longest silence of a broker that owes something; past it a scenario fails instead of hanging.
const LONGEST: Duration = Duration::from_secs(20);

/// How long nothing has happened.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    since: Instant,
}

impl Patience {
    /// Something has happened just now.
    pub fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// Takes note of whether something has happened, or nothing was owed.
    ///
    /// # Errors
    ///
    /// When nothing has happened for too long.
    pub fn check(&mut self, happened: bool) -> Result<()> {
        if happened {
            self.since = Instant::now();
        } else if self.since.elapsed() > LONGEST {
            return Err(Error::Broker(format!("has been silent for {} s", LONGEST.as_secs())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_but_is_renewed() {
        let mut patience = Patience { since: Instant::now() - LONGEST - Duration::from_secs(1) };
        assert!(patience.check(false).unwrap_err().to_string().contains("silent"));
        patience.check(true).unwrap();
        patience.check(false).unwrap();
    }
}

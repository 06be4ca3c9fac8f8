//! Which cores the broker runs on.

use std::fmt;
use std::str::FromStr;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// More than any Linux kernel can be built for (`NR_CPUS` is at most 8,192), so that a slip such as
/// `0-99999999` is told apart.
const HIGHEST_CORE: usize = 8_191;

/// A choice of cores: `"all"` that the process may use, or a list such as `"0-3,5"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CoreSet {
    /// Every core that the scheduler lets the process run on.
    All,
    /// These cores, by the kernel's numbers, ascending and without repetition; never empty.
    Listed(Vec<usize>),
}

impl CoreSet {
    /// The chosen cores out of those that the process may run on, which are read from the kernel.
    ///
    /// # Errors
    /// If a listed core is not among them, or if `/proc/self/status` cannot be read.
    pub fn resolve(&self) -> io::Result<Vec<usize>> {
        self.choose_from(&allowed_cores()?).map_err(io::Error::other)
    }

    fn choose_from(&self, allowed: &[usize]) -> Result<Vec<usize>, String> {
        let Self::Listed(cores) = self else {
            return Ok(allowed.to_vec());
        };
        match cores.iter().find(|core| !allowed.contains(core)) {
            None => Ok(cores.clone()),
            Some(missing) => Err(format!(
                "node.cores: core {missing} is not among those that this process may use ({}): \
                 list others, or write \"all\"",
                Self::Listed(allowed.to_vec())
            )),
        }
    }
}

/// The cores that this process may run on, as its affinity mask and cpuset allow.
fn allowed_cores() -> io::Result<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    match list.map(|list| list.trim().parse()) {
        Some(Ok(CoreSet::Listed(cores))) => Ok(cores),
        _ => Err(io::Error::other(
            "/proc/self/status does not list the cores that this process may use: set node.cores to a list",
        )),
    }
}

/// The text is not a list of cores.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a list of cores: write \"all\", or numbers and ranges up to {HIGHEST_CORE}, such as \"0-3,5\""
)]
pub struct ParseCoreSetError(String);

impl FromStr for CoreSet {
    type Err = ParseCoreSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self::All);
        }
        let error = || ParseCoreSetError(text.to_owned());
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| error())?;
            let last: usize = last.trim().parse().map_err(|_| error())?;
            if first > last || last > HIGHEST_CORE {
                return Err(error());
            }
            cores.extend(first..=last);
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(Self::Listed(cores))
    }
}

impl fmt::Display for CoreSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Listed(cores) = self else {
            return f.write_str("all");
        };
        let runs = cores.chunk_by(|core, next| core + 1 == *next);
        for (index, run) in runs.enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match run {
                [core] => write!(f, "{separator}{core}")?,
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                [] => unreachable!("chunk_by yields no empty chunks"),
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for CoreSet {
    type Error = ParseCoreSetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CoreSet> for String {
    fn from(cores: CoreSet) -> Self {
        cores.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_sorted_and_written_as_ranges() {
        for (text, written) in [("all", "all"), ("3", "3"), ("5,0-3", "0-3,5"), ("0,1, 1,2", "0-2")] {
            let cores: CoreSet = text.parse().unwrap();
            assert_eq!(cores.to_string(), written);
            assert_eq!(written.parse(), Ok(cores));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "ALL", "3-1", "1-", "-1", "1,,2", "0-99999999999", "a"] {
            assert!(text.parse::<CoreSet>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_core_that_the_process_may_not_use_is_named() {
        let cores: CoreSet = "0-2".parse().unwrap();
        assert_eq!(cores.choose_from(&[0, 1, 2, 3]), Ok(vec![0, 1, 2]));
        let error = cores.choose_from(&[0, 1]).unwrap_err();
        assert!(error.contains("core 2") && error.contains("(0-1)"), "{error}");
        assert_eq!(CoreSet::All.choose_from(&[4, 6]), Ok(vec![4, 6]));
    }

    #[test]
    fn this_process_may_use_a_core() {
        assert!(!CoreSet::All.resolve().unwrap().is_empty());
    }
}

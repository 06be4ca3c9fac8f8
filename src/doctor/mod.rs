//! Checks of the host: is it fit to run a broker, and what would make it fitter.
//!
//! Every check is data, a [`Check`], so that it can be printed for people and for programs. What a host does
//! not expose, as virtual machines and containers often do not, is said to be so and is no failure.

mod check;
mod cpu;
mod disk;
mod kernel;
mod limits;
mod memory;
mod network;
mod scratch;
mod source;
mod sync_rate;
mod uring;

pub use check::{Check, Verdict};

use crate::config::Config;

/// Checks this host for a broker with this configuration. Takes about two seconds, because the disk is
/// measured; writes one scratch file into the data directory, or into the nearest existing directory above
/// it, and removes it.
pub fn run(config: &Config) -> Vec<Check> {
    let mut checks = vec![kernel::version()];
    checks.extend(uring::checks());
    checks.extend(cpu::checks(&config.node));
    checks.extend(memory::checks());
    checks.extend(limits::checks(config));
    checks.extend(network::checks());
    checks.extend(disk::checks(config));
    checks
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_check_is_named_once_and_says_what_to_do_unless_it_is_good() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.node.data = directory.path().join("not/yet/there");
        let checks = run(&config);
        let names: HashSet<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), checks.len());
        for check in &checks {
            assert_eq!(check.verdict == Verdict::Good, check.advice.is_none(), "{check:?}");
            assert!(!check.finding.contains('\n'), "{check:?}");
        }
        assert_eq!(directory.path().read_dir().unwrap().count(), 0, "the scratch file is removed");
    }
}

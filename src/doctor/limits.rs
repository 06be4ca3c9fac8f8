//! Limits of the process: locked memory and open files.

use super::{Check, source};
use crate::config::{ByteSize, Config};

const MEMLOCK: &str = "locked memory";
const NOFILE: &str = "open files";

/// Below this the runtime does not start a shard.
const LEAST_MEMLOCK: u64 = 512 << 10;

/// Files that the broker holds open besides connections: segments, rings and event descriptors.
const FILES_BESIDE_CONNECTIONS: u64 = 1_024;

pub(super) fn checks(config: &Config) -> Vec<Check> {
    let limits = source::text("/proc/self/limits").unwrap_or_default();
    let memlock = Limit::find(&limits, "Max locked memory");
    let files = Limit::find(&limits, "Max open files");
    let files_needed = u64::from(config.limits.connections) + FILES_BESIDE_CONNECTIONS;
    vec![
        memlock.map_or_else(|| Check::not_exposed(MEMLOCK), judge_memlock),
        files.map_or_else(|| Check::not_exposed(NOFILE), |limit| judge_files(limit, files_needed)),
    ]
}

/// The number of shards that the configuration asks for on this host.
pub(super) fn shards(config: &Config) -> u64 {
    match config.node.shards {
        0 => config.node.cores.resolve().map_or(1, |cores| cores.len() as u64),
        shards => shards.into(),
    }
}

/// A limit in force; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u64>);

impl Limit {
    /// The soft limit `name` in the table of `/proc/self/limits`.
    fn find(limits: &str, name: &str) -> Option<Self> {
        let values = limits.lines().find_map(|line| line.strip_prefix(name))?;
        match values.split_whitespace().next()? {
            "unlimited" => Some(Self(None)),
            number => Some(Self(Some(number.parse().ok()?))),
        }
    }

    fn allows(self, amount: u64) -> bool {
        self.0.is_none_or(|limit| amount <= limit)
    }

    fn show(self, number: impl Fn(u64) -> String) -> String {
        self.0.map_or_else(|| "unlimited".to_owned(), number)
    }
}

fn judge_memlock(limit: Limit) -> Check {
    let size = |bytes| ByteSize::new(bytes).to_string();
    let finding = limit.show(size);
    if limit.allows(LEAST_MEMLOCK) {
        return Check::good(MEMLOCK, finding);
    }
    let least = size(LEAST_MEMLOCK);
    let advice = format!("raise it to {least} or more: LimitMEMLOCK= of the service, or ulimit -l");
    Check::bad(MEMLOCK, finding, advice)
}

fn judge_files(limit: Limit, needed: u64) -> Check {
    let finding = limit.show(|files| files.to_string());
    if limit.allows(needed) {
        return Check::good(NOFILE, finding);
    }
    let advice = format!(
        "fewer connections than limits.connections will be possible: raise it to {needed} (LimitNOFILE= of the service, or \
         ulimit -n)"
    );
    let judge = if limit.allows(FILES_BESIDE_CONNECTIONS) { Check::warn } else { Check::bad };
    judge(NOFILE, finding, advice)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const TABLE: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max open files            20000                524288               files     
Max locked memory         unlimited            unlimited            bytes     ";

    #[test]
    fn soft_limits_are_read_from_the_table() {
        assert_eq!(Limit::find(TABLE, "Max open files"), Some(Limit(Some(20_000))));
        assert_eq!(Limit::find(TABLE, "Max locked memory"), Some(Limit(None)));
        assert_eq!(Limit::find(TABLE, "Max processes"), None);
    }

    #[test]
    fn the_runtime_needs_some_locked_memory() {
        assert_eq!(judge_memlock(Limit(None)).verdict, Verdict::Good);
        assert_eq!(judge_memlock(Limit(Some(8 << 20))).verdict, Verdict::Good);
        assert_eq!(judge_memlock(Limit(Some(64 << 10))).verdict, Verdict::Bad);
    }

    #[test]
    fn open_files_are_judged_by_the_connections_wanted() {
        assert_eq!(judge_files(Limit(Some(20_000)), 11_024).verdict, Verdict::Good);
        assert_eq!(judge_files(Limit(Some(1_024)), 11_024).verdict, Verdict::Warn);
        assert_eq!(judge_files(Limit(Some(256)), 11_024).verdict, Verdict::Bad);
    }
}

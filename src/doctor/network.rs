//! The network's settings.

use super::{Check, source};

const BACKLOG: &str = "listen backlog";

pub(super) fn checks() -> Vec<Check> {
    let backlog = source::number("/proc/sys/net/core/somaxconn");
    vec![backlog.map_or_else(|| Check::not_exposed(BACKLOG), judge_backlog)]
}

fn judge_backlog(somaxconn: u64) -> Check {
    /// The kernel's own default since Linux 5.4.
    const ENOUGH: u64 = 4_096;
    let finding = format!("net.core.somaxconn = {somaxconn}");
    if somaxconn >= ENOUGH {
        return Check::good(BACKLOG, finding);
    }
    Check::warn(
        BACKLOG,
        finding,
        format!("clients that reconnect all at once are refused: sysctl -w net.core.somaxconn={ENOUGH}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn short_backlogs_are_warned_of() {
        assert_eq!(judge_backlog(4_096).verdict, Verdict::Good);
        assert_eq!(judge_backlog(128).verdict, Verdict::Warn);
    }
}

//! The kernel's version.

use super::{Check, source};

/// The first version whose io_uring has all that the broker's runtime is built on.
const OLDEST: (u32, u32) = (5, 11);

/// The first long-term version in which io_uring's workers are native threads of the process.
const SOUND: (u32, u32) = (5, 15);

pub(super) fn version() -> Check {
    match source::text("/proc/sys/kernel/osrelease") {
        Some(release) => judge(&release),
        None => Check::not_exposed("kernel"),
    }
}

fn judge(release: &str) -> Check {
    let finding = format!("Linux {release}");
    match parse(release) {
        None => {
            Check::warn("kernel", finding, format!("make sure that it is Linux {} or newer", show(SOUND)))
        }
        Some(version) if version < OLDEST => {
            Check::bad("kernel", finding, format!("install Linux {} or newer", show(SOUND)))
        }
        Some(version) if version < SOUND => Check::warn(
            "kernel",
            finding,
            format!("install Linux {} or newer: much of io_uring was corrected since", show(SOUND)),
        ),
        Some(_) => Check::good("kernel", finding),
    }
}

fn show((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// Major and minor version of a release such as `6.18.44-generic`.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn versions_are_judged_by_number() {
        for (release, verdict) in [
            ("6.18.44-fc-v669", Verdict::Good),
            ("5.15.0-91-generic", Verdict::Good),
            ("5.11.0", Verdict::Warn),
            ("5.4-rc1", Verdict::Bad),
            ("unknown", Verdict::Warn),
        ] {
            assert_eq!(judge(release).verdict, verdict, "{release}");
        }
    }
}

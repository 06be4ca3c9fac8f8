//! Swapping and huge pages.

use super::{Check, source};

const HUGE_PAGES: &str = "transparent huge pages";

pub(super) fn checks() -> Vec<Check> {
    vec![swapping(), huge_pages()]
}

fn swapping() -> Check {
    let memory = source::text("/proc/meminfo").unwrap_or_default();
    let swap = source::field(&memory, "SwapTotal");
    match (swap, source::number("/proc/sys/vm/swappiness")) {
        (Some(swap), Some(swappiness)) => judge_swapping(swap != "0 kB", swappiness),
        _ => Check::not_exposed("swapping"),
    }
}

fn judge_swapping(has_swap: bool, swappiness: u64) -> Check {
    const EAGER: u64 = 10;
    match (has_swap, swappiness) {
        (false, _) => Check::good("swapping", "no swap space"),
        (true, ..=EAGER) => Check::good("swapping", format!("vm.swappiness = {swappiness}")),
        (true, _) => Check::warn(
            "swapping",
            format!("swap space in use with vm.swappiness = {swappiness}"),
            "a shard that waits for its own memory stalls all its clients: sysctl -w vm.swappiness=1",
        ),
    }
}

fn huge_pages() -> Check {
    match source::text("/sys/kernel/mm/transparent_hugepage/enabled") {
        Some(setting) => judge_huge_pages(&setting),
        None => Check::not_exposed(HUGE_PAGES),
    }
}

/// `setting` lists all choices and brackets the one in force: `always [madvise] never`.
fn judge_huge_pages(setting: &str) -> Check {
    let chosen = setting.split(['[', ']']).nth(1).unwrap_or(setting);
    if chosen != "always" {
        return Check::good(HUGE_PAGES, chosen);
    }
    Check::warn(
        HUGE_PAGES,
        chosen,
        "memory use grows and compaction stalls cores: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn swappiness_matters_only_with_swap() {
        assert_eq!(judge_swapping(false, 60).verdict, Verdict::Good);
        assert_eq!(judge_swapping(true, 1).verdict, Verdict::Good);
        assert_eq!(judge_swapping(true, 60).verdict, Verdict::Warn);
    }

    #[test]
    fn the_huge_page_setting_in_force_is_the_bracketed_one() {
        assert_eq!(judge_huge_pages("always [madvise] never"), Check::good(HUGE_PAGES, "madvise"));
        assert_eq!(judge_huge_pages("[always] madvise never").verdict, Verdict::Warn);
    }
}

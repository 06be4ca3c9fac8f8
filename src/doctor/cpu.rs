//! Cores, their frequency and the clock.

use std::collections::BTreeSet;

use super::{Check, source};
use crate::config::Node;

pub(super) fn checks(node: &Node) -> Vec<Check> {
    vec![cores(node), governor(), clock()]
}

fn cores(node: &Node) -> Check {
    match node.cores.resolve() {
        Ok(cores) => judge_cores(cores.len(), node.shards.into()),
        Err(error) => Check::bad("cores", error.to_string(), "correct node.cores"),
    }
}

/// `shards` is 0 for one on each core.
fn judge_cores(cores: usize, shards: usize) -> Check {
    let shards = if shards == 0 { cores } else { shards };
    let finding = format!("{} on {}", count(shards, "shard"), count(cores, "core"));
    if shards > cores {
        let advice = "shards that share a core wait for each other: set node.shards to 0, or give more cores";
        return Check::warn("cores", finding, advice);
    }
    Check::good("cores", finding)
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn governor() -> Check {
    let governors =
        (0..).map(|core| source::text(format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")));
    judge_governors(governors.map_while(|governor| governor).collect())
}

fn judge_governors(governors: BTreeSet<String>) -> Check {
    const NAME: &str = "CPU governor";
    let finding = Vec::from_iter(governors.iter().map(String::as_str)).join(", ");
    match finding.as_str() {
        "" => Check::not_exposed(NAME),
        "performance" => Check::good(NAME, finding),
        _ => Check::warn(
            NAME,
            finding,
            "cores that slow down when idle answer late: cpupower frequency-set --governor performance",
        ),
    }
}

fn clock() -> Check {
    match source::text("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Some(clock) => judge_clock(&clock),
        None => Check::not_exposed("clock source"),
    }
}

fn judge_clock(clock: &str) -> Check {
    // These are read without entering the kernel.
    const FAST: [&str; 4] = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"];
    if FAST.contains(&clock) {
        return Check::good("clock source", clock);
    }
    Check::warn(
        "clock source",
        clock,
        "reading the time takes a system call: boot with clocksource=tsc if the processor's is stable (dmesg | grep -i tsc)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn more_shards_than_cores_are_warned_of() {
        assert_eq!(judge_cores(2, 0), Check::good("cores", "2 shards on 2 cores"));
        assert_eq!(judge_cores(4, 1), Check::good("cores", "1 shard on 4 cores"));
        assert_eq!(judge_cores(2, 3).verdict, Verdict::Warn);
    }

    #[test]
    fn one_slow_governor_is_enough_to_warn() {
        let judge = |governors: &[&str]| judge_governors(governors.iter().map(ToString::to_string).collect());
        assert_eq!(judge(&[]).finding, "not exposed here");
        assert_eq!(judge(&["performance", "performance"]).verdict, Verdict::Good);
        assert_eq!(judge(&["performance", "powersave"]).verdict, Verdict::Warn);
    }

    #[test]
    fn clocks_in_the_kernel_are_warned_of() {
        assert_eq!(judge_clock("tsc").verdict, Verdict::Good);
        assert_eq!(judge_clock("hpet").verdict, Verdict::Warn);
    }
}

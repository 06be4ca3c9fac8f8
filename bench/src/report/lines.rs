//! The lines for people that stand before a scenario's JSON line.

use super::{Outcome, Verdict};

/// Prints what a scenario found; the last line is its JSON object.
pub fn print(outcome: &Outcome, verdicts: &[Verdict]) {
    for line in lines(outcome, verdicts) {
        println!("{line}");
    }
    println!("{}", outcome.json_line());
}

fn lines(outcome: &Outcome, verdicts: &[Verdict]) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {}, {}, {:.0}% of {}",
        outcome.figures.scenario,
        per_second(outcome.figures.records_per_s, "records/s"),
        per_second(outcome.figures.bytes_per_s, "bytes/s"),
        outcome.figures.ratio * 100.0,
        outcome.figures.limit
    )];
    if let (Some(p50), Some(p99)) = (outcome.figures.p50_us, outcome.figures.p99_us) {
        lines.push(format!("  latency p50 {p50:.0} us, p99 {p99:.0} us"));
    }
    let cpu = outcome
        .figures
        .broker_cpu_us_per_record
        .map_or(String::new(), |us| format!("{us:.3} us CPU a record, "));
    lines.push(format!("  broker: {cpu}{:.0} MiB resident", outcome.figures.broker_rss_mib));
    for bounds in &outcome.limits {
        let limit = bounds.before.limit;
        lines.push(format!(
            "  machine: {} {} before, {} after (p50 {:.0} and {:.0} us)",
            limit.name(),
            per_second(bounds.before.per_second, limit.unit()),
            per_second(bounds.after.per_second, limit.unit()),
            bounds.before.p50_us,
            bounds.after.p50_us,
        ));
    }
    lines.extend(verdicts.iter().map(verdict));
    lines
}

fn verdict(verdict: &Verdict) -> String {
    let goal = verdict.goal;
    let (bound, word) = if goal.more { ("at least", "reached") } else { ("at most", "kept") };
    let standing = match (verdict.met, verdict.aim_met) {
        (_, true) => format!("aim {word}"),
        (true, false) => word.to_owned(),
        (false, false) => format!("NOT {word}"),
    };
    let value = verdict.value.map_or("not measured".to_owned(), |value| value.to_string());
    format!("  goal: {} {value}, {bound} {}, aim {}: {standing}", goal.figure, goal.at_least, goal.aim)
}

/// A rate with a prefix that keeps it readable.
pub fn per_second(value: f64, unit: &str) -> String {
    match value.abs() {
        v if v >= 1e9 => format!("{:.2} G {unit}", value / 1e9),
        v if v >= 1e6 => format!("{:.2} M {unit}", value / 1e6),
        v if v >= 1e4 => format!("{:.1} k {unit}", value / 1e3),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Goal;

    #[test]
    fn a_goal_that_is_missed_is_told() {
        let mut outcome = Outcome::new("x");
        outcome.figures.ratio = 0.5;
        let verdicts = [Goal::more("ratio", 0.75, 0.9).judge(&outcome)];
        let text = lines(&outcome, &verdicts).join("\n");
        assert!(text.contains("ratio 0.5, at least 0.75, aim 0.9: NOT reached"), "{text}");
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(per_second(2_345_678_901.0, "bytes/s"), "2.35 G bytes/s");
        assert_eq!(per_second(12_345.0, "syncs/s"), "12.3 k syncs/s");
        assert_eq!(per_second(999.0, "syncs/s"), "999 syncs/s");
    }
}

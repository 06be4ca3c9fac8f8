//! What a figure should be at least, and what it aims at.

use serde::Serialize;

use super::Outcome;

/// A demand on one figure of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Name of the figure in the JSON line.
    pub figure: &'static str,
    /// Whether more is better.
    pub more: bool,
    /// What it must reach.
    pub at_least: f64,
    /// What it aims at.
    pub aim: f64,
}

/// A goal, and what was reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The goal.
    pub goal: Goal,
    /// The figure; `None` if the scenario did not measure it.
    pub value: Option<f64>,
    /// Whether the minimum is met.
    pub met: bool,
    /// Whether the aim is.
    pub aim_met: bool,
}

impl Goal {
    /// A figure of which more is better.
    pub const fn more(figure: &'static str, at_least: f64, aim: f64) -> Self {
        Self { figure, more: true, at_least, aim }
    }

    /// A figure of which less is better.
    pub const fn less(figure: &'static str, at_most: f64, aim: f64) -> Self {
        Self { figure, more: false, at_least: at_most, aim }
    }

    /// Holds an outcome to it. A figure that is missing meets nothing.
    pub fn judge(self, outcome: &Outcome) -> Verdict {
        let value = outcome.figure(self.figure);
        let reaches = |bound: f64| value.is_some_and(|v| if self.more { v >= bound } else { v <= bound });
        Verdict { goal: self, value, met: reaches(self.at_least), aim_met: reaches(self.aim) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_are_judged() {
        let mut outcome = Outcome::new("x");
        outcome.figures.ratio = 0.8;
        outcome.figures.p99_us = Some(3000.0);
        let ratio = Goal::more("ratio", 0.75, 0.9).judge(&outcome);
        assert!(ratio.met && !ratio.aim_met);
        let p99 = Goal::less("p99_us", 20_000.0, 2000.0).judge(&outcome);
        assert!(p99.met && !p99.aim_met);
        assert!(!Goal::less("p50_us", 1.0, 1.0).judge(&outcome).met, "what is not measured is not met");
    }
}

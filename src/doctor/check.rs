//! What a check yields.

use serde::Serialize;

/// How well the host does in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Good,
    /// The broker runs, but slower or less safely than it could.
    Warn,
    /// The broker does not run, or cannot keep what it promises.
    Bad,
}

/// One respect in which the host was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at; unique among the checks of one run.
    pub name: &'static str,
    /// How well the host does.
    pub verdict: Verdict,
    /// What was found, in one line.
    pub finding: String,
    /// What to do about it, in one line; only what is not good has advice.
    pub advice: Option<String>,
}

impl Check {
    pub(super) fn good(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, finding: finding.into(), advice: None }
    }

    pub(super) fn warn(name: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, finding: finding.into(), advice: Some(advice.into()) }
    }

    pub(super) fn bad(name: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Bad, finding: finding.into(), advice: Some(advice.into()) }
    }

    /// For what this kernel, virtual machine or container does not show.
    pub(super) fn not_exposed(name: &'static str) -> Self {
        Self::good(name, "not exposed here")
    }
}

//! Subscriptions by pattern: RE2's syntax, and the whole name must match.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use ringmail_kafka::error::ErrorCode;

use super::refusal::Refusal;
use crate::machine::{Now, Topics};

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 4096;
/// The most memory that a compiled pattern takes, and what matching with it takes at a time, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// The most different patterns of a group: each is held against all names of topics.
pub const MAX_PATTERNS: usize = 32;

/// A pattern and the topics that matched when it was last held against all there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPattern {
    /// Names of topics.
    pub topics: Arc<BTreeSet<String>>,
    /// [`Topics::version`] at that time.
    pub version: i64,
    /// When that was, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// Checks a pattern that a member asks for.
pub(super) fn check(pattern: &str) -> Result<(), Refusal> {
    compile(pattern).map(drop)
}

/// What a pattern matches as a whole; `None` if it is not valid.
pub(crate) fn whole(pattern: &str) -> Option<Regex> {
    compile(pattern).ok()
}

fn compile(pattern: &str) -> Result<Regex, Refusal> {
    let refuse = |why: &str| {
        let message =
            format!("SubscribedTopicRegex `{pattern:.200}` is not a valid regular expression: {why}.");
        Refusal::new(ErrorCode::InvalidRegularExpression, message)
    };
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(refuse(&format!("it has over {MAX_PATTERN_BYTES} bytes")));
    }
    let quoted = unquote(pattern);
    let build = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_COMPILED_BYTES).build()
    };
    // By itself first: `a)(?:b` would be valid between the brackets that make it match the whole name.
    build(&quoted)
        .and_then(|_| build(&format!(r"\A(?:{quoted})\z")))
        .map_err(|error| refuse(&error.to_string().replace('\n', " ")))
}

/// RE2 takes what is between `\Q` and `\E` literally; this says the same in the syntax at hand.
fn unquote(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = find_quote(rest) {
        out.push_str(&rest[..at]);
        let quoted = &rest[at + 2..];
        let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        out.push_str(&regex::escape(literal));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where the next `\Q` is whose backslash is not escaped itself.
fn find_quote(pattern: &str) -> Option<usize> {
    let bytes = pattern.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'\\', b'Q') => return Some(at),
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The topics of all patterns that are asked for. Those known already are looked at again only if `again`; one with the
/// same result stays as it is.
pub(super) fn resolve(
    known: &BTreeMap<String, ResolvedPattern>,
    wanted: &BTreeSet<&str>,
    again: bool,
    topics: &dyn Topics,
    now: Now,
) -> Result<BTreeMap<String, ResolvedPattern>, Refusal> {
    if wanted.len() > MAX_PATTERNS {
        let message = format!("The group has over {MAX_PATTERNS} different regular expressions.");
        return Err(Refusal::new(ErrorCode::InvalidRegularExpression, message));
    }
    let mut resolved = BTreeMap::new();
    for &pattern in wanted {
        let before = known.get(pattern);
        let kept = match before {
            Some(before) if !again => before.clone(),
            _ => {
                let now = evaluate(pattern, topics, now);
                before.filter(|before| before.topics == now.topics).cloned().unwrap_or(now)
            }
        };
        resolved.insert(pattern.to_owned(), kept);
    }
    Ok(resolved)
}

fn evaluate(pattern: &str, topics: &dyn Topics, now: Now) -> ResolvedPattern {
    // Members are let in with valid patterns only; one that an older release let in matches nothing.
    let matching = match compile(pattern) {
        Ok(regex) => topics.names().filter(|name| regex.is_match(name)).map(str::to_owned).collect(),
        Err(_) => BTreeSet::new(),
    };
    let version = i64::try_from(topics.version()).unwrap_or(i64::MAX);
    ResolvedPattern { topics: Arc::new(matching), version, timestamp_ms: now.wall_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, name: &str) -> bool {
        compile(pattern).expect("a valid pattern").is_match(name)
    }

    #[test]
    fn the_whole_name_matches() {
        assert!(matches("foo.*", "foo-bar"));
        assert!(!matches("foo", "foo-bar"));
        assert!(!matches("bar", "foo-bar"));
        assert!(matches("a|ab", "ab"));
        assert!(matches("^a$", "a"));
    }

    #[test]
    fn quoted_text_is_literal() {
        assert!(matches(r"\Qa.b\E.*", "a.b-c"));
        assert!(!matches(r"\Qa.b\E.*", "axb-c"));
        assert!(matches(r"\Qa.b", "a.b"));
        assert!(matches(r"\\Q", r"\Q"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(", "a)(?:b", "[", "(?=a)", r"(a)\1", "a{1,100000}{1,1000}"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        assert!(check(&"a".repeat(MAX_PATTERN_BYTES + 1)).is_err());
    }
}

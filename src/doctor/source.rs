//! Reading what the kernel shows under `/proc` and `/sys`.

use std::fs;
use std::path::Path;

/// The trimmed text of a file, or nothing if this host does not expose it.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The number in a file, or nothing if this host does not expose it.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The value of the line `name: value` in `text`, such as that of `/proc/self/status`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "SwapCached:  1 kB\nSwap:\t2 kB\n";
        assert_eq!(field(text, "Swap"), Some("2 kB"));
        assert_eq!(field(text, "SwapTotal"), None);
    }

    #[test]
    fn files_that_do_not_exist_yield_nothing() {
        assert_eq!(number("/proc/sys/no/such/setting"), None);
    }
}

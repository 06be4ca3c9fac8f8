//! What happened: a hash of all of it, and lines for people.

use crate::rng::mix;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;

/// Which lines a trace is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// None: only the hash is taken.
    #[default]
    Nothing,
    /// Those from this one on, at once.
    From(u64),
    /// So many of the last ones, when [`Trace::finish`] is called.
    Last(usize),
}

/// Takes events.
#[derive(Debug, Default)]
pub struct Trace {
    show: Show,
    hash: u64,
    lines: u64,
    kept: VecDeque<String>,
}

impl Trace {
    /// A trace that shows these lines on standard output.
    pub fn new(show: Show) -> Self {
        Self { show, ..Self::default() }
    }

    /// Something happened: when (in microseconds), to or at whom, what, and its particulars. The words of the particulars
    /// are for people; all else goes into the hash.
    pub fn event(&mut self, at_us: u64, who: u32, what: &'static str, particulars: &[(&'static str, u64)]) {
        self.take(at_us);
        self.take(u64::from(who));
        self.take_text(what);
        for &(_, value) in particulars {
            self.take(value);
        }
        if self.begin_line() {
            let mut line = self.head(at_us, who, what);
            for (name, value) in particulars {
                write!(line, " {name}={value}").expect("a string takes all that is written");
            }
            self.end_line(line);
        }
    }

    /// The like, with words: of what happens rarely, since it costs more.
    pub fn note(&mut self, at_us: u64, who: u32, what: &'static str, words: &str) {
        self.take(at_us);
        self.take(u64::from(who));
        self.take_text(what);
        self.take_text(words);
        if self.begin_line() {
            let mut line = self.head(at_us, who, what);
            write!(line, " {words}").expect("a string takes all that is written");
            self.end_line(line);
        }
    }

    /// Something for people alone, put into words only if somebody reads them.
    pub fn remark(&mut self, at_us: u64, who: u32, what: &'static str, words: impl FnOnce() -> String) {
        if self.show != Show::Nothing && self.begin_line() {
            let line = format!("{} {}", self.head(at_us, who, what), words());
            self.end_line(line);
        }
    }

    /// The hash of all that happened so far.
    pub fn hash(&self) -> u64 {
        mix(self.hash)
    }

    /// Events so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Shows what is still kept.
    pub fn finish(&mut self) {
        for line in self.kept.drain(..) {
            print(&line);
        }
    }

    fn take(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn take_text(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            self.take(u64::from_le_bytes(bytes));
        }
        self.take(text.len() as u64);
    }

    /// Counts a line; whether it is to be shown.
    fn begin_line(&mut self) -> bool {
        self.lines += 1;
        match self.show {
            Show::Nothing => false,
            Show::From(first) => self.lines >= first,
            Show::Last(_) => true,
        }
    }

    fn head(&self, at_us: u64, who: u32, what: &str) -> String {
        let (seconds, rest) = (at_us / 1_000_000, at_us % 1_000_000);
        format!("{:>8} {seconds:>5}.{rest:06} #{who} {what}", self.lines)
    }

    fn end_line(&mut self, line: String) {
        match self.show {
            Show::Last(most) => {
                self.kept.push_back(line);
                if self.kept.len() > most {
                    self.kept.pop_front();
                }
            }
            _ => print(&line),
        }
    }
}

/// Prints a line; a reader who has had enough is no failure.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_events_apart() {
        let hash = |events: &[(u64, u32, &'static str, u64)]| {
            let mut trace = Trace::default();
            events.iter().for_each(|&(at, who, what, n)| trace.event(at, who, what, &[("n", n)]));
            trace.hash()
        };
        let one = hash(&[(1, 2, "append", 3), (2, 2, "read", 0)]);
        assert_eq!(one, hash(&[(1, 2, "append", 3), (2, 2, "read", 0)]));
        let others = [
            hash(&[(2, 2, "read", 0), (1, 2, "append", 3)]),
            hash(&[(1, 3, "append", 3), (2, 2, "read", 0)]),
            hash(&[(1, 2, "append", 4), (2, 2, "read", 0)]),
            hash(&[(1, 2, "append", 3), (2, 2, "reap", 0)]),
            hash(&[(1, 2, "append", 3)]),
        ];
        assert!(!others.contains(&one));
    }
}

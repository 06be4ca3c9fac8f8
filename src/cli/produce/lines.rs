//! Lines of any bytes.

use std::io::{self, BufRead};

/// Lines read into one buffer, without their newlines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    bytes_read: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), bytes_read: 0 }
    }

    /// The next line; the last one may lack its newline.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.reader.read_until(b'\n', &mut self.line)?;
        self.bytes_read += read as u64;
        if read == 0 {
            return Ok(None);
        }
        Ok(Some(self.line.strip_suffix(b"\n").unwrap_or(&self.line)))
    }

    /// Bytes of the lines so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

/// What stands before and after the first `separator` in `line`.
pub(super) fn split_once<'l>(line: &'l [u8], separator: &[u8]) -> Option<(&'l [u8], &'l [u8])> {
    let place = line.windows(separator.len()).position(|window| window == separator)?;
    Some((&line[..place], &line[place + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_byte_for_byte() {
        let mut lines = Lines::new(&b"a\r\n\n\xff\0b\nlast"[..]);
        for expected in [&b"a\r"[..], b"", b"\xff\0b", b"last"] {
            assert_eq!(lines.next().unwrap().unwrap(), expected);
        }
        assert!(lines.next().unwrap().is_none());
        assert_eq!(lines.bytes_read(), 12);
    }

    #[test]
    fn the_first_separator_counts() {
        assert_eq!(split_once(b"k::v::w", b"::"), Some((&b"k"[..], &b"v::w"[..])));
        assert_eq!(split_once(b":v", b":"), Some((&b""[..], &b"v"[..])));
        assert_eq!(split_once(b"none", b":"), None);
        assert_eq!(split_once(b"", b":"), None);
    }
}

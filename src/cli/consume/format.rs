//! The format string of `consume`.

use std::io::{self, Write};
use std::str::FromStr;

use ringmail_sdk::ConsumedRecord;

/// A format: text and parts of the record, in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    Headers,
    Timestamp,
}

impl Format {
    /// Writes a record; what is absent is left out.
    pub fn write(&self, record: &ConsumedRecord<'_>, out: &mut impl Write) -> io::Result<()> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_all(text)?,
                Piece::Topic => out.write_all(record.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", record.partition)?,
                Piece::Offset => write!(out, "{}", record.offset)?,
                Piece::Key => out.write_all(record.key.unwrap_or_default())?,
                Piece::Value => out.write_all(record.value.unwrap_or_default())?,
                Piece::Headers => write_headers(record, out)?,
                Piece::Timestamp => write!(out, "{}", record.timestamp)?,
            }
        }
        Ok(())
    }
}

fn write_headers(record: &ConsumedRecord<'_>, out: &mut impl Write) -> io::Result<()> {
    for (place, header) in record.headers.enumerate() {
        let (name, value) = header.map_err(io::Error::other)?;
        if place > 0 {
            out.write_all(b",")?;
        }
        out.write_all(name)?;
        out.write_all(b"=")?;
        out.write_all(value.unwrap_or_default())?;
    }
    Ok(())
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut format = Self(Vec::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => format.part(characters.next())?,
                '\\' => format.text(&escaped(characters.next())?),
                other => format.text(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(format)
    }
}

impl Format {
    fn part(&mut self, letter: Option<char>) -> Result<(), String> {
        let piece = match letter {
            Some('t') => Piece::Topic,
            Some('p') => Piece::Partition,
            Some('o') => Piece::Offset,
            Some('k') => Piece::Key,
            Some('v') => Piece::Value,
            Some('h') => Piece::Headers,
            Some('T') => Piece::Timestamp,
            Some('%') => {
                self.text(b"%");
                return Ok(());
            }
            Some(other) => {
                return Err(format!("%{other} means nothing; see --help, and write %% for a percent sign"));
            }
            None => return Err("it ends in %; write %% for a percent sign".to_owned()),
        };
        self.0.push(piece);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.extend_from_slice(text),
            _ => self.0.push(Piece::Text(text.to_vec())),
        }
    }
}

fn escaped(letter: Option<char>) -> Result<[u8; 1], String> {
    match letter {
        Some('n') => Ok(*b"\n"),
        Some('t') => Ok(*b"\t"),
        Some('r') => Ok(*b"\r"),
        Some('0') => Ok(*b"\0"),
        Some('\\') => Ok(*b"\\"),
        Some(other) => Err(format!("\\{other} means nothing; see --help, and write \\\\ for a backslash")),
        None => Err("it ends in \\; write \\\\ for a backslash".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use ringmail_sdk::{Headers, HeadersBuf};

    use super::*;

    fn write(format: &str) -> Vec<u8> {
        let mut headers = HeadersBuf::new();
        headers.push(b"a", Some(b"1")).unwrap();
        headers.push(b"b", None).unwrap();
        let record = ConsumedRecord {
            topic: "orders",
            partition: 3,
            offset: 42,
            timestamp: 1_769_860_800_000,
            key: None,
            value: Some(b"\xff\0"),
            headers: Headers::new(headers.as_bytes()),
        };
        let mut out = Vec::new();
        format.parse::<Format>().unwrap().write(&record, &mut out).unwrap();
        out
    }

    #[test]
    fn every_part_of_a_record_can_be_printed() {
        let written = write("%t/%p@%o %T [%k] %h ü%%\\t\\\\\\n");
        assert_eq!(String::from_utf8(written).unwrap(), "orders/3@42 1769860800000 [] a=1,b= ü%\t\\\n");
    }

    #[test]
    fn values_are_printed_byte_for_byte() {
        assert_eq!(write("%v\\0"), b"\xff\0\0");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for wrong in ["%", "%x", "\\", "\\q"] {
            assert!(wrong.parse::<Format>().is_err(), "{wrong}");
        }
    }
}

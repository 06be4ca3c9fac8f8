//! Record headers: an ordered list of names and values, in which a name may stand more than once.
//!
//! Each is `name_length: u16, value_length: u32` ([`NULL_LENGTH`] if the value is absent), then the bytes
//! of name and value.

use super::NULL_LENGTH;

const PREFIX_BYTES: usize = 6;

/// Why headers could not be encoded or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A name is longer than 65,535 bytes.
    #[error("a header name is {0} bytes; the limit is 65535")]
    NameTooLong(usize),
    /// A value does not fit a 32-bit length.
    #[error("a header value is {0} bytes; the limit is 4294967294")]
    ValueTooLong(usize),
    /// The encoded headers end in the middle of one.
    #[error("the record's headers are cut short")]
    Truncated,
}

/// Headers being built; reuse one for many records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadersBuf(Vec<u8>);

impl HeadersBuf {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one at the end.
    ///
    /// # Errors
    /// If the name is over 65,535 bytes or the value over 4 GiB - 2.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) -> Result<(), HeaderError> {
        let name_length = u16::try_from(name.len()).map_err(|_| HeaderError::NameTooLong(name.len()))?;
        let value_length = match value {
            None => NULL_LENGTH,
            Some(v) if v.len() < NULL_LENGTH as usize => v.len() as u32,
            Some(v) => return Err(HeaderError::ValueTooLong(v.len())),
        };
        self.0.extend_from_slice(&name_length.to_le_bytes());
        self.0.extend_from_slice(&value_length.to_le_bytes());
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(value.unwrap_or_default());
        Ok(())
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// As they stand in a record.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The headers of a record, read in place. Iterating yields `(name, value)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// No headers.
    pub const EMPTY: Headers<'static> = Headers(&[]);

    /// Headers in their encoded form; they are checked while they are read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they stand in the record.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Walks over all of them.
    ///
    /// # Errors
    /// [`HeaderError::Truncated`] if they do not end with the last one.
    pub fn check(mut self) -> Result<(), HeaderError> {
        while !self.0.is_empty() {
            self.next_header().ok_or(HeaderError::Truncated)?;
        }
        Ok(())
    }

    fn next_header(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let (prefix, rest) = self.0.split_at_checked(PREFIX_BYTES)?;
        let name_length = u16::from_le_bytes([prefix[0], prefix[1]]) as usize;
        let value_length = u32::from_le_bytes([prefix[2], prefix[3], prefix[4], prefix[5]]);
        let (name, rest) = rest.split_at_checked(name_length)?;
        let (value, rest) = match value_length {
            NULL_LENGTH => (None, rest),
            n => rest.split_at_checked(n as usize).map(|(v, r)| (Some(v), r))?,
        };
        self.0 = rest;
        Some((name, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], Option<&'a [u8]>), HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let header = self.next_header().ok_or(HeaderError::Truncated);
        if header.is_err() {
            self.0 = &[];
        }
        Some(header)
    }
}

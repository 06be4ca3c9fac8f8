//! Numbers, strings and lists in message bodies. Little-endian, unaligned.

/// The most items of one list. A decoded item takes up to 12 times the memory of its shortest form in a body:
/// without this limit a frame of nothing but empty names would take many times the frame limit.
pub const MAX_LIST_ITEMS: u32 = 1 << 18;

/// A body that does not have the form of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body ends within a field.
    #[error("the body ends within field `{0}`")]
    Truncated(&'static str),
    /// A string is not UTF-8.
    #[error("field `{0}` is not UTF-8")]
    NotUtf8(&'static str),
    /// A field has a value that means nothing.
    #[error("field `{0}` has the unknown value {1}")]
    Value(&'static str, u64),
    /// A list has more items than [`MAX_LIST_ITEMS`].
    #[error("field `{0}` lists {1} items; the limit is {MAX_LIST_ITEMS}")]
    TooMany(&'static str, u32),
    /// Bytes follow the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
}

/// A body that can be written and read.
pub trait Message<'a>: Sized {
    /// Appends the body.
    fn encode(&self, w: &mut Writer<'_>);

    /// Reads the body from the front of `r`.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads a body that is all of `bytes`.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn from_body(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let message = Self::decode(&mut r)?;
        r.end()?;
        Ok(message)
    }
}

/// Reads fields from a body.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

macro_rules! number {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("Reads a `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// [`DecodeError::Truncated`].
        #[inline]
        pub fn $name(&mut self, field: &'static str) -> Result<$type, DecodeError> {
            let (bytes, rest) =
                self.0.split_first_chunk().ok_or(DecodeError::Truncated(field))?;
            self.0 = rest;
            Ok(<$type>::from_le_bytes(*bytes))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    number!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    /// Reads `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn bytes(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Truncated(field))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Reads a string: its length as `u16`, then UTF-8.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::NotUtf8`].
    pub fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let length = self.u16(field)?;
        let bytes = self.bytes(field, length.into())?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8(field))
    }

    /// Reads a list: its count as `u32`, then the items. Memory is taken as items are really there, so
    /// a count that lies costs nothing.
    ///
    /// # Errors
    /// [`DecodeError::TooMany`], [`DecodeError::Truncated`], and what `item` returns.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u32(field)?;
        if count > MAX_LIST_ITEMS {
            return Err(DecodeError::TooMany(field, count));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            if self.0.is_empty() {
                return Err(DecodeError::Truncated(field));
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`].
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.0.len())) }
    }
}

/// Appends fields to a buffer.
#[derive(Debug)]
pub struct Writer<'b>(&'b mut Vec<u8>);

impl<'b> Writer<'b> {
    /// Appends to `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self(out)
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends a `u8`.
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    /// Appends a `u16`.
    pub fn u16(&mut self, v: u16) {
        self.bytes(&v.to_le_bytes());
    }

    /// Appends a `u32`.
    pub fn u32(&mut self, v: u32) {
        self.bytes(&v.to_le_bytes());
    }

    /// Appends a `u64`.
    pub fn u64(&mut self, v: u64) {
        self.bytes(&v.to_le_bytes());
    }

    /// Appends an `i64`.
    pub fn i64(&mut self, v: i64) {
        self.bytes(&v.to_le_bytes());
    }

    /// Appends a string; one over 65,535 bytes is cut at a character boundary before that.
    pub fn string(&mut self, s: &str) {
        let mut end = s.len().min(u16::MAX.into());
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        self.u16(end as u16);
        self.bytes(&s.as_bytes()[..end]);
    }

    /// Appends a list.
    pub fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.u32(items.len() as u32);
        for i in items {
            item(self, i);
        }
    }
}

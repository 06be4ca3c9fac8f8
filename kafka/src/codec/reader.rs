//! Reading fields. Kafka's numbers are big-endian; lengths have two forms, of which the **flexible** one (KIP-482) is a
//! varint of the length plus one, with 0 for null.

use super::{DecodeError, Uuid};

/// The most items of all lists of a message together. A decoded item takes up to 200 bytes and can stand for one byte of a
/// body: without this limit a request of nothing but empty names would take many times its own size.
pub const MAX_LIST_ITEMS: u32 = 1 << 18;

const NULL_OLD: i64 = -1;

/// Reads the fields of a body, or of a part of one.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    version: i16,
    flexible: bool,
    /// What is left of [`MAX_LIST_ITEMS`].
    items: u32,
    /// What is being read, for errors.
    field: &'static str,
}

macro_rules! number {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("Reads a big-endian `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// [`DecodeError::Truncated`].
        #[inline]
        pub fn $name(&mut self) -> Result<$type, DecodeError> {
            let (bytes, rest) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated(self.field))?;
            self.bytes = rest;
            Ok(<$type>::from_be_bytes(*bytes))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`, which are of this version of a message; `flexible` says whether that version has
    /// varint lengths and tagged fields.
    pub fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { bytes, version, flexible, items: MAX_LIST_ITEMS, field: "body" }
    }

    /// The version of the message.
    #[inline]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the version is flexible.
    #[inline]
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Names what is read next, for errors.
    #[inline]
    pub fn at_field(&mut self, field: &'static str) {
        self.field = field;
    }

    /// What is being read.
    #[inline]
    pub fn field(&self) -> &'static str {
        self.field
    }

    number!(i8: i8, u8: u8, i16: i16, u16: u16, i32: i32, u32: u32, i64: i64, f64: f64);

    /// Reads a boolean; any byte but 0 is true.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? != 0)
    }

    /// Reads a UUID.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        let (bytes, rest) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated(self.field))?;
        self.bytes = rest;
        Ok(Uuid(*bytes))
    }

    /// Reads an unsigned varint of at most 5 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Varint`].
    #[inline]
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            // The fifth byte has room for 4 bits.
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint(self.field))
    }

    /// Reads `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.bytes.split_at_checked(length).ok_or(DecodeError::Truncated(self.field))?;
        self.bytes = rest;
        Ok(bytes)
    }

    /// Reads a length in the form of the version; `old` reads the other one.
    #[inline]
    fn length(
        &mut self,
        old: fn(&mut Self) -> Result<i64, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1).map(|length| length as usize));
        }
        match old(self)? {
            NULL_OLD => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| DecodeError::Length(self.field, length)),
        }
    }

    /// Reads a string that may be null.
    ///
    /// # Errors
    /// See [`DecodeError`].
    #[inline]
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        let Some(length) = self.length(|r| r.i16().map(i64::from))? else { return Ok(None) };
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| DecodeError::NotUtf8(self.field))
    }

    /// Reads a string.
    ///
    /// # Errors
    /// See [`DecodeError`].
    #[inline]
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.nullable_string()?.ok_or(DecodeError::Null(self.field))
    }

    /// Reads bytes that may be null.
    ///
    /// # Errors
    /// See [`DecodeError`].
    #[inline]
    pub fn nullable_blob(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length(|r| r.i32().map(i64::from))? {
            Some(length) => self.bytes(length).map(Some),
            None => Ok(None),
        }
    }

    /// Reads bytes with their length.
    ///
    /// # Errors
    /// See [`DecodeError`].
    #[inline]
    pub fn blob(&mut self) -> Result<&'a [u8], DecodeError> {
        self.nullable_blob()?.ok_or(DecodeError::Null(self.field))
    }

    /// Reads how many items a list has, which may be null, and takes them off [`MAX_LIST_ITEMS`]. Of what follows each
    /// item takes a byte at least, so a count of more than that is refused at once.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn nullable_count(&mut self) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length(|r| r.i32().map(i64::from))? else { return Ok(None) };
        if count > self.bytes.len() {
            return Err(DecodeError::Truncated(self.field));
        }
        let items = u32::try_from(count).ok().and_then(|count| self.items.checked_sub(count));
        self.items = items.ok_or(DecodeError::TooMany(self.field))?;
        Ok(Some(count))
    }

    /// Reads how many items a list has.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        self.nullable_count()?.ok_or(DecodeError::Null(self.field))
    }

    /// Reads the tagged fields at the end of a structure, which only flexible versions have. `known` is given each tag and
    /// a reader of its bytes, and leaves those alone that it does not know.
    ///
    /// # Errors
    /// See [`DecodeError`], and what `known` returns.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        self.field = "tagged fields";
        for _ in 0..self.varint()? {
            let tag = self.varint()?;
            let length = self.varint()? as usize;
            let bytes = self.bytes(length)?;
            let mut field = Self { bytes, ..self.clone() };
            known(tag, &mut field)?;
            self.items = field.items;
        }
        Ok(())
    }

    /// Passes over the tagged fields of a structure that has none that are known.
    ///
    /// # Errors
    /// See [`DecodeError`].
    #[inline]
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }

    /// What is left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

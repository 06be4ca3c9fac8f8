//! Writing fields: the counterpart of [`super::Reader`].

use super::{Uuid, Wire};

/// Appends fields to a buffer, in the form of one version of a message.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    version: i16,
    flexible: bool,
    cut: Option<usize>,
}

macro_rules! number {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("Appends a big-endian `", stringify!($type), "`.")]
        #[inline]
        pub fn $name(&mut self, v: $type) {
            self.out.extend_from_slice(&v.to_be_bytes());
        }
    )*};
}

impl<'b> Writer<'b> {
    /// Appends to `out`; see [`super::Reader::new`] for `version` and `flexible`.
    pub fn new(out: &'b mut Vec<u8>, version: i16, flexible: bool) -> Self {
        Self { out, version, flexible, cut: None }
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

    number!(i8: i8, i16: i16, u16: u16, i32: i32, i64: i64, f64: f64);

    /// Appends a boolean.
    pub fn bool(&mut self, v: bool) {
        self.out.push(v.into());
    }

    /// Remembers where bytes belong that are not written here.
    pub fn cut_here(&mut self) {
        self.cut = Some(self.out.len());
    }

    /// Where bytes belong that are not written here: how many of the buffer's come before them.
    pub fn cut(&self) -> Option<usize> {
        self.cut
    }

    /// Appends a UUID.
    #[inline]
    pub fn uuid(&mut self, v: Uuid) {
        self.bytes(&v.0);
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends an unsigned varint.
    #[inline]
    pub fn varint(&mut self, mut v: u32) {
        while v > 0x7f {
            self.out.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.out.push(v as u8);
    }

    /// Appends the number of bytes or items that follow, `None` for null.
    ///
    /// # Panics
    /// If there are 2 GiB or more: answers have limits far below that.
    #[inline]
    pub fn length(&mut self, length: Option<usize>) {
        let length = length.map(|n| i32::try_from(n).expect("answers have limits far below 2 GiB"));
        if self.flexible {
            self.varint(length.map_or(0, |n| n as u32 + 1));
        } else {
            self.i32(length.unwrap_or(-1));
        }
    }

    /// Appends a string, or null. Where the version has 16 bits for a length, one over 32,767 bytes is cut between
    /// characters.
    #[inline]
    pub fn nullable_string(&mut self, v: Option<&str>) {
        if self.flexible {
            self.length(v.map(str::len));
            self.bytes(v.unwrap_or_default().as_bytes());
            return;
        }
        let Some(v) = v else { return self.i16(-1) };
        let end = v.floor_char_boundary(i16::MAX as usize);
        self.i16(end as i16);
        self.bytes(&v.as_bytes()[..end]);
    }

    /// Appends a string.
    #[inline]
    pub fn string(&mut self, v: &str) {
        self.nullable_string(Some(v));
    }

    /// Appends bytes with their length, or null.
    pub fn nullable_blob(&mut self, v: Option<&[u8]>) {
        self.length(v.map(<[u8]>::len));
        self.bytes(v.unwrap_or_default());
    }

    /// Appends the mark of a structure without tagged fields, where the version has such a mark.
    #[inline]
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}

/// The tagged fields of a structure, gathered before their number can be written. Those that have their default are left
/// out, as Kafka leaves them out.
#[derive(Debug, Default)]
pub struct Tags {
    count: u32,
    encoded: Vec<u8>,
}

impl Tags {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field; the tags must come in ascending order.
    pub fn put<'a>(&mut self, w: &Writer<'_>, tag: u32, field: &impl Wire<'a>) {
        let mut content = Vec::new();
        field.write(&mut Writer::new(&mut content, w.version, w.flexible));
        let mut own = Writer::new(&mut self.encoded, w.version, w.flexible);
        own.varint(tag);
        own.varint(content.len() as u32);
        own.bytes(&content);
        self.count += 1;
    }

    /// Appends them, where the version has tagged fields at all.
    pub fn finish(self, w: &mut Writer<'_>) {
        if w.flexible {
            w.varint(self.count);
            w.bytes(&self.encoded);
        }
    }
}

//! Batches in messages.

use crate::codec::{DecodeError, Reader, Wire, Writer};

/// The batches of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Records<'a> {
    /// Null, which no broker sends: an empty answer has no bytes, but is there.
    #[default]
    Null,
    /// These bytes, not looked at.
    Here(&'a [u8]),
    /// So many bytes that the one who writes the message puts in their place.
    Elsewhere(usize),
}

impl<'a> Records<'a> {
    /// No batches.
    pub const EMPTY: Records<'static> = Records::Here(&[]);

    /// The bytes, if they are here.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Null | Self::Elsewhere(_) => None,
        }
    }
}

impl<'a> Wire<'a> for Records<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(r.nullable_blob()?.map_or(Self::Null, Self::Here))
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Null => w.nullable_blob(None),
            Self::Here(bytes) => w.nullable_blob(Some(bytes)),
            Self::Elsewhere(length) => {
                w.length(Some(*length));
                w.cut_here();
            }
        }
    }
}

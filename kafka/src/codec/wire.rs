//! What can stand in a message.

use std::borrow::Cow;

use super::{DecodeError, Reader, Uuid, Writer};

/// A string: borrowed from the request, or whatever the answer has.
pub type Str<'a> = Cow<'a, str>;
/// Bytes that mean nothing to the broker.
pub type Blob<'a> = Cow<'a, [u8]>;

/// A field, or a structure of fields.
pub trait Wire<'a>: Sized {
    /// Reads it from the front of `r`.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Appends it.
    fn write(&self, w: &mut Writer<'_>);

    /// Appends it where the version has no null: a null becomes the empty value.
    fn write_present(&self, w: &mut Writer<'_>) {
        self.write(w);
    }
}

macro_rules! plain {
    ($($type:ty: $method:ident),* $(,)?) => {$(
        impl Wire<'_> for $type {
            #[inline]
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                r.$method()
            }

            #[inline]
            fn write(&self, w: &mut Writer<'_>) {
                w.$method(*self);
            }
        }
    )*};
}

plain!(bool: bool, i8: i8, i16: i16, u16: u16, i32: i32, i64: i64, f64: f64, Uuid: uuid);

impl<'a> Wire<'a> for Str<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.string().map(Cow::Borrowed)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.string(self);
    }
}

impl<'a> Wire<'a> for Option<Str<'a>> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(r.nullable_string()?.map(Cow::Borrowed))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.nullable_string(self.as_deref());
    }

    fn write_present(&self, w: &mut Writer<'_>) {
        w.string(self.as_deref().unwrap_or_default());
    }
}

impl<'a> Wire<'a> for Blob<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.blob().map(Cow::Borrowed)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.nullable_blob(Some(self));
    }
}

/// Reads `count` items. Memory is taken as items are really there, so a count that lies costs nothing.
fn items<'a, T: Wire<'a>>(r: &mut Reader<'a>, count: usize) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(T::read(r)?);
    }
    Ok(items)
}

fn write_items<'a, T: Wire<'a>>(w: &mut Writer<'_>, items: &[T]) {
    w.length(Some(items.len()));
    items.iter().for_each(|item| item.write(w));
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.count()?;
        items(r, count)
    }

    fn write(&self, w: &mut Writer<'_>) {
        write_items(w, self);
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<Vec<T>> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.nullable_count()?.map(|count| items(r, count)).transpose()
    }

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Some(items) => write_items(w, items),
            None => w.length(None),
        }
    }

    fn write_present(&self, w: &mut Writer<'_>) {
        write_items(w, self.as_deref().unwrap_or_default());
    }
}

/// A list that an answer need not own.
impl<'a> Wire<'a> for Cow<'a, [i32]> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Vec::read(r).map(Cow::Owned)
    }

    fn write(&self, w: &mut Writer<'_>) {
        write_items(w, self);
    }
}

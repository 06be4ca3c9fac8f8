//! Lists that are walked over where they stand.

use std::fmt;

use crate::codec::{DecodeError, Reader, Wire, Writer};

/// A list of a request that was checked but not gathered: walking over it reads the items again, which takes no memory.
/// Where a request is made, it is a list that was gathered.
#[derive(Clone)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone)]
enum Source<'a, T> {
    /// The items begin here, and each of so many was read once without an error.
    Checked(Reader<'a>, usize),
    Made(Vec<T>),
}

impl<'a, T: Wire<'a> + Clone> List<'a, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Checked(_, count) => *count,
            Source::Made(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> Items<'a, '_, T> {
        Items(match &self.0 {
            Source::Checked(reader, count) => Rest::Checked(reader.clone(), *count),
            Source::Made(items) => Rest::Made(items.iter()),
        })
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self(Source::Made(Vec::new()))
    }
}

impl<T> From<Vec<T>> for List<'_, T> {
    fn from(items: Vec<T>) -> Self {
        Self(Source::Made(items))
    }
}

impl<'a, T: Wire<'a> + Clone + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + Clone + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Wire<'a> + Clone> Wire<'a> for List<'a, T> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.count()?;
        let items = r.clone();
        for _ in 0..count {
            T::read(r)?;
        }
        Ok(Self(Source::Checked(items, count)))
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.length(Some(self.len()));
        self.iter().for_each(|item| item.write(w));
    }
}

/// The items of a [`List`].
#[derive(Clone)]
pub struct Items<'a, 'l, T>(Rest<'a, 'l, T>);

#[derive(Clone)]
enum Rest<'a, 'l, T> {
    Checked(Reader<'a>, usize),
    Made(std::slice::Iter<'l, T>),
}

impl<'a, T: Wire<'a> + Clone> Iterator for Items<'a, '_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Rest::Checked(_, 0) => None,
            Rest::Checked(reader, left) => {
                *left -= 1;
                Some(T::read(reader).expect("the list was checked when it was read"))
            }
            Rest::Made(items) => items.next().cloned(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Rest::Checked(_, left) => *left,
            Rest::Made(items) => items.len(),
        };
        (left, Some(left))
    }
}

impl<'a, T: Wire<'a> + Clone> ExactSizeIterator for Items<'a, '_, T> {}

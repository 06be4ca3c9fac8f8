//! A table whose keys are never mistaken for those of an earlier entry.

/// The key of an entry: its place, and how often that place was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    place: u32,
    generation: u32,
}

impl Key {
    /// The key as one number.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.place as u64
    }

    /// The key that [`to_u64`](Self::to_u64) made this number of.
    pub const fn from_u64(number: u64) -> Self {
        Self { place: number as u32, generation: (number >> 32) as u32 }
    }
}

#[derive(Debug)]
enum Place<T> {
    Used(T),
    /// The next free place, if there is one.
    Free(Option<u32>),
}

/// Entries in places that are used again. Inserting allocates only when there are more entries than ever before.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<(u32, Place<T>)>,
    free: Option<u32>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Slab<T> {
    /// Adds an entry.
    #[inline]
    pub fn insert(&mut self, entry: T) -> Key {
        self.len += 1;
        let Some(place) = self.free else {
            let place = u32::try_from(self.places.len()).expect("limits keep tables far below 2^32 entries");
            self.places.push((0, Place::Used(entry)));
            return Key { place, generation: 0 };
        };
        let (generation, slot) = &mut self.places[place as usize];
        let Place::Free(next) = std::mem::replace(slot, Place::Used(entry)) else {
            unreachable!("the free list holds free places only");
        };
        self.free = next;
        Key { place, generation: *generation }
    }

    /// The entry of this key, unless it was removed.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.places.get(key.place as usize) {
            Some((generation, Place::Used(entry))) if *generation == key.generation => Some(entry),
            _ => None,
        }
    }

    /// The entry of this key, unless it was removed.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.places.get_mut(key.place as usize) {
            Some((generation, Place::Used(entry))) if *generation == key.generation => Some(entry),
            _ => None,
        }
    }

    /// Takes an entry out, unless that was done before.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let (generation, slot) = &mut self.places[key.place as usize];
        *generation = generation.wrapping_add(1);
        let Place::Used(entry) = std::mem::replace(slot, Place::Free(self.free)) else {
            unreachable!("the place was looked up");
        };
        self.free = Some(key.place);
        self.len -= 1;
        Some(entry)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The keys of all entries, in the order of their places.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.iter().map(|(key, _)| key)
    }

    /// All entries, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..).zip(&self.places).filter_map(|(place, (generation, slot))| match slot {
            Place::Used(entry) => Some((Key { place, generation: *generation }, entry)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_does_not_find_a_new_entry() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((slab.remove(a), slab.remove(a), slab.len()), (Some('a'), None, 1));
        let c = slab.insert('c');
        assert_ne!(a, c);
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!(Key::from_u64(c.to_u64()), c);
        assert_eq!(slab.iter().map(|(_, entry)| *entry).collect::<String>(), "cb");
    }
}

//! What is to be sent on a connection: small things copied together, large ones by reference.

use bytes::Bytes;

/// Pieces from this size on are not copied, in bytes: below it, copying costs less than another part to send.
const SHARED_FROM: usize = 16 << 10;

/// Capacity beyond which an emptied buffer is given up, in bytes.
const KEPT_CAPACITY: usize = 256 << 10;

/// Bytes to be sent, in order: the pieces, then what was copied since the last one.
#[derive(Debug, Default)]
pub struct Output {
    pieces: Vec<Bytes>,
    piece_bytes: usize,
    copied: Vec<u8>,
}

impl Output {
    /// Where frames are written to.
    #[inline]
    pub fn copied(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    /// Adds a piece of a frame.
    pub fn piece(&mut self, piece: Bytes) {
        if piece.len() < SHARED_FROM {
            self.copied.extend_from_slice(&piece);
        } else {
            self.close_copied();
            self.push(piece);
        }
    }

    /// Adds all that another one has.
    pub fn append(&mut self, other: Self) {
        other.pieces.into_iter().for_each(|piece| self.piece(piece));
        self.copied.extend_from_slice(&other.copied);
    }

    /// Makes a piece of what was copied since the last one.
    fn close_copied(&mut self) {
        if !self.copied.is_empty() {
            let copied = Bytes::copy_from_slice(&self.copied);
            self.copied.clear();
            self.push(copied);
        }
    }

    fn push(&mut self, piece: Bytes) {
        self.piece_bytes += piece.len();
        self.pieces.push(piece);
    }

    /// Bytes to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.piece_bytes + self.copied.len()
    }

    /// Whether there is nothing to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this has memory to write into already.
    pub fn has_capacity(&self) -> bool {
        self.copied.capacity() > 0
    }

    /// What is to be sent, in the form that it is sent in best.
    pub fn parts(&mut self) -> Parts<'_> {
        if self.pieces.is_empty() {
            return Parts::Copied(&self.copied);
        }
        self.close_copied();
        Parts::Pieces(&self.pieces)
    }

    /// Forgets everything; keeps the memory unless it is much.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.copied.shrink_to(KEPT_CAPACITY);
        self.pieces.clear();
        self.piece_bytes = 0;
    }
}

impl ringmail_kafka::fetch::Output for Output {
    fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    fn share(&mut self, bytes: Bytes) {
        self.piece(bytes);
    }
}

/// The parts of an [`Output`].
#[derive(Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// All in one.
    Copied(&'a [u8]),
    /// One after another.
    Pieces(&'a [Bytes]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_things_are_sent_as_one() {
        let mut output = Output::default();
        output.copied().extend_from_slice(b"head ");
        output.piece(Bytes::from_static(b"small "));
        output.copied().extend_from_slice(b"tail");
        assert_eq!((output.len(), output.parts()), (15, Parts::Copied(b"head small tail")));
        output.clear();
        assert!(output.is_empty() && output.has_capacity());
    }

    #[test]
    fn large_pieces_keep_their_place_and_are_not_copied() {
        let mut output = Output::default();
        let large = Bytes::from(vec![b'L'; SHARED_FROM]);
        output.copied().extend_from_slice(b"head");
        output.piece(large.clone());
        output.piece(large.clone());
        output.copied().extend_from_slice(b"tail");
        assert_eq!(output.len(), 8 + 2 * SHARED_FROM);
        let Parts::Pieces(pieces) = output.parts() else { panic!("there are pieces") };
        let lengths: Vec<_> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [4, SHARED_FROM, SHARED_FROM, 4]);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr());
        assert_eq!(output.len(), 8 + 2 * SHARED_FROM);
        output.clear();
        assert!(output.is_empty());
    }
}

//! Memory that O_DIRECT accepts.

use crate::load::Content;

/// Alignment and granularity of O_DIRECT transfers, in bytes.
pub const PAGE: usize = 4096;

#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// A zeroed buffer of whole, aligned pages.
pub struct Pages {
    pages: Vec<Page>,
}

impl Pages {
    /// `len` bytes, which must be whole pages.
    ///
    /// # Panics
    ///
    /// When `len` is not a multiple of [`PAGE`].
    pub fn zeroed(len: usize) -> Self {
        assert_eq!(len % PAGE, 0, "O_DIRECT moves whole pages");
        Self { pages: vec![Page([0; PAGE]); len / PAGE] }
    }

    /// The same, filled with bytes that neither compress nor repeat, in case something below is clever.
    pub fn noise(len: usize, seed: u64) -> Self {
        let mut pages = Self::zeroed(len);
        let content = Content::new(seed, 0, PAGE);
        let mut bytes = Vec::with_capacity(PAGE);
        for (number, page) in pages.pages.iter_mut().enumerate() {
            bytes.clear();
            content.append(number as u64, &mut bytes);
            page.0.copy_from_slice(&bytes);
        }
        pages
    }

    /// Start of the buffer, for the kernel.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.pages.as_mut_ptr().cast()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_and_noise_is_not_zero() {
        let mut pages = Pages::noise(3 * PAGE, 1);
        assert_eq!(pages.as_mut_ptr().align_offset(PAGE), 0);
        assert_eq!(pages.len(), 3 * PAGE);
        assert_ne!(pages.pages[0].0, pages.pages[1].0);
        assert!(pages.pages[2].0.iter().any(|&byte| byte != 0));
    }
}

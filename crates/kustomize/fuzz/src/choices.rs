//! Choices out of bytes. Once the bytes are used up every choice is the first one, so what is made
//! of them ends.

use arbitrary::Unstructured;

/// Bytes that decide.
pub struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    /// Begins with the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    /// Returns a number below `end`, 0 when there are no more bytes.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.saturating_sub(1)).unwrap_or_default()
    }

    /// Says yes once in `times`, and no when there are no more bytes.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times && !self.is_done()
    }

    /// Returns one of several.
    pub fn pick<'b, T: ?Sized>(&mut self, of: &[&'b T]) -> &'b T {
        of[self.below(of.len())]
    }

    /// Makes up to `most` things.
    pub fn several<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    /// Says whether there are no more bytes.
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

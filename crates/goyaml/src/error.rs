//! What is wrong with a text, and where.

/// A place in a text that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl Error {
    pub(crate) fn at(mark: Mark, message: impl Into<String>) -> Self {
        let one = |zero: u32| usize::try_from(zero).unwrap_or(usize::MAX).saturating_add(1);
        Self { line: one(mark.line), column: one(mark.column), message: message.into() }
    }
}

/// A place in a text, counted from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Mark {
    /// Returns the line, counted from 1.
    pub fn line(self) -> usize {
        usize::try_from(self.line).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// Returns the column, counted from 1.
    pub fn column(self) -> usize {
        usize::try_from(self.column).unwrap_or(usize::MAX).saturating_add(1)
    }
}

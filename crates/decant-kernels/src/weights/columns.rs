//! A matrix to be filled, that can be cut between columns.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable matrix [rows, cols] of f32, row-major, that can be cut between columns: so threads fill their shares of
/// every row side by side.
#[derive(Debug)]
pub struct ColumnsMut<'a> {
    first: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: as `&mut [f32]`, of whose elements this holds a part that no other value holds.
unsafe impl Send for ColumnsMut<'_> {}
// SAFETY: shared, it can only be asked for its shape, and for parts, whose safety is the asker's promise.
unsafe impl Sync for ColumnsMut<'_> {}

impl<'a> ColumnsMut<'a> {
    /// The whole matrix.
    ///
    /// # Panics
    /// If `matrix` is not rows of `cols`.
    pub fn new(matrix: &'a mut [f32], cols: usize) -> Self {
        assert!(cols > 0 && matrix.len().is_multiple_of(cols), "{} numbers are not rows of {cols}", matrix.len());
        let rows = matrix.len() / cols;
        ColumnsMut { first: matrix.as_mut_ptr(), rows, cols, stride: cols, matrix: PhantomData }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Some of the columns.
    ///
    /// # Safety
    /// As long as the result lives, nothing else reads or writes these columns.
    ///
    /// # Panics
    /// If there are no such columns.
    pub(super) unsafe fn part(&self, columns: Range<usize>) -> ColumnsMut<'_> {
        assert!(columns.start <= columns.end && columns.end <= self.cols, "cannot cut {columns:?} of {}", self.cols);
        // `wrapping_add`: with no rows this may point past the matrix, to no element.
        ColumnsMut { first: self.first.wrapping_add(columns.start), cols: columns.len(), ..*self }
    }

    /// Writes one element.
    ///
    /// # Panics
    /// If it is not in the matrix.
    #[inline(always)]
    pub fn set(&mut self, row: usize, col: usize, value: f32) {
        assert!(row < self.rows && col < self.cols, "({row}, {col}) is outside [{}, {}]", self.rows, self.cols);
        // SAFETY: `first` is column 0 of row 0 of a borrowed matrix of `rows` rows, `stride` apart, of which at least
        // `cols` columns from `first` are this value's alone.
        unsafe { *self.first.add(row * self.stride + col) = value }
    }
}

//! A row in the type that an engine has it in.

use crate::Isa;
use decant_kernels::rows::{widen_bf16, widen_f16};
use half::{bf16, f16};

/// One row of next-token logits, shape `[vocab]`, in the type that an engine has it in. Half precision is widened to f32,
/// which is exact; everything after that sees the f32 alone.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// Binary32, which is looked at where it lies.
    F32(&'a [f32]),
    /// Binary16.
    F16(&'a [f16]),
    /// bfloat16.
    Bf16(&'a [bf16]),
}

/// The same, to be written back to.
#[derive(Debug)]
pub enum RowMut<'a> {
    /// Binary32.
    F32(&'a mut [f32]),
    /// Binary16.
    F16(&'a mut [f16]),
    /// bfloat16.
    Bf16(&'a mut [bf16]),
}

impl<'a> Row<'a> {
    /// How many logits.
    pub fn len(self) -> usize {
        match self {
            Row::F32(row) => row.len(),
            Row::F16(row) => row.len(),
            Row::Bf16(row) => row.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The rows of a batch that lies in one piece, shape `[batch, vocab]`. What is left over at the end is no row.
    ///
    /// # Panics
    /// If `vocab` is 0.
    pub fn split(self, vocab: usize) -> impl ExactSizeIterator<Item = Row<'a>> {
        assert!(vocab > 0, "a row has at least one logit");
        (0..self.len() / vocab).map(move |index| {
            let range = index * vocab..(index + 1) * vocab;
            match self {
                Row::F32(rows) => Row::F32(&rows[range]),
                Row::F16(rows) => Row::F16(&rows[range]),
                Row::Bf16(rows) => Row::Bf16(&rows[range]),
            }
        })
    }

    /// The row in f32: itself, or `wide`, which is filled with it.
    pub(crate) fn widen<'s>(self, isa: Isa, wide: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        match self {
            Row::F32(row) => return row,
            Row::F16(row) => widen_f16(isa, row, wide),
            Row::Bf16(row) => widen_bf16(isa, row, wide),
        }
        wide
    }

    /// The row in f32, given what [`widen`](Self::widen) made of it before.
    pub(crate) fn or_widened<'s>(self, wide: &'s [f32]) -> &'s [f32]
    where
        'a: 's,
    {
        match self {
            Row::F32(row) => row,
            Row::F16(_) | Row::Bf16(_) => wide,
        }
    }
}

impl RowMut<'_> {
    pub(crate) fn as_row(&self) -> Row<'_> {
        match self {
            RowMut::F32(row) => Row::F32(row),
            RowMut::F16(row) => Row::F16(row),
            RowMut::Bf16(row) => Row::Bf16(row),
        }
    }
}

/// Writes logits in half precision, each rounded to the nearest (ties to even). A finite one stays finite: beyond the type's
/// range it becomes the type's largest or least number, for an infinity would be no logit, or forbid a token that was kept.
macro_rules! narrow {
    ($name:ident, $half:ident) => {
        pub(crate) fn $name(wide: &[f32], row: &mut [$half]) {
            for (half, &logit) in row.iter_mut().zip(wide) {
                *half = match logit {
                    f32::NEG_INFINITY => $half::NEG_INFINITY,
                    logit => $half::from_f32(logit.clamp($half::MIN.to_f32(), $half::MAX.to_f32())),
                };
            }
        }
    };
}
narrow!(narrow_f16, f16);
narrow!(narrow_bf16, bf16);

/// Whatever holds numbers of one of the types is a row.
macro_rules! rows_of {
    ($($variant:ident: $number:ident;)*) => {$(
        impl<'a> From<&'a [$number]> for Row<'a> {
            fn from(row: &'a [$number]) -> Self {
                Row::$variant(row)
            }
        }

        impl<'a> From<&'a Vec<$number>> for Row<'a> {
            fn from(row: &'a Vec<$number>) -> Self {
                Row::$variant(row)
            }
        }

        impl<'a, const N: usize> From<&'a [$number; N]> for Row<'a> {
            fn from(row: &'a [$number; N]) -> Self {
                Row::$variant(row)
            }
        }

        impl<'a> From<&'a mut [$number]> for RowMut<'a> {
            fn from(row: &'a mut [$number]) -> Self {
                RowMut::$variant(row)
            }
        }

        impl<'a> From<&'a mut Vec<$number>> for RowMut<'a> {
            fn from(row: &'a mut Vec<$number>) -> Self {
                RowMut::$variant(row)
            }
        }
    )*};
}
rows_of! {
    F32: f32;
    F16: f16;
    Bf16: bf16;
}

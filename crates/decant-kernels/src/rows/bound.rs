//! Which tokens of a row are meant.

use super::BLOCK;

/// The tokens of a row whose logits lie in a window (from least to largest, ends included). What lies at its very end
/// may be in play up to some token only: of equals the lower ids come first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The window for the tokens up to `last`.
    pub until: [f32; 2],
    /// The window for those after it.
    pub after: [f32; 2],
    /// The last token that lies at the end of the window.
    pub last: u32,
}

impl Bound {
    /// Every token that is not forbidden.
    pub const NONE: Self = Bound { until: [f32::MIN, f32::MAX], after: [f32::MIN, f32::MAX], last: u32::MAX };

    /// Whether a token is meant.
    #[inline]
    pub fn keeps(&self, token: u32, logit: f32) -> bool {
        let [least, largest] = if token <= self.last { self.until } else { self.after };
        least <= logit && logit <= largest
    }

    /// The window for a whole block, unless it has two.
    #[inline]
    pub(super) fn window(&self, block: usize) -> Option<[f32; 2]> {
        let (first, last) = (block * BLOCK, self.last as usize);
        if last >= first + BLOCK - 1 {
            Some(self.until)
        } else if last < first {
            Some(self.after)
        } else {
            None
        }
    }
}

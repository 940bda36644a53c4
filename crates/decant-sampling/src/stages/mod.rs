//! The stages, one file each: the type, its doc, its definition for the catalog, its rule, its tests.

mod min_p;
mod temp;
mod top_h;
mod top_k;
mod top_p;

pub use top_h::TopHRule;

use crate::catalog::{Field, Kind, Range};

crate::catalog::stages! {
    temp::Temp,
    top_h::TopH,
    top_k::TopK,
    top_p::TopP,
    min_p::MinP,
}

/// A parameter of every truncation stage: however hard the rule cuts, this many of the tokens it saw stay.
const MIN_TOKENS_TO_KEEP: Field = Field::new(
    "min_tokens_to_keep",
    "how many tokens stay at least; the first always does",
    Kind::optional(Range::integers_from(0.0), 0.0),
)
.aliases(&["min_keep"])
.flat(&["min_keep", "min_tokens_to_keep"]);

//! The stages, one file each: the type, its doc, its definition for the catalog, its rule, its tests.

pub mod min_p;
pub mod temp;
pub mod top_h;
pub mod top_k;
pub mod top_p;

pub use min_p::MinP;
pub use temp::Temp;
pub use top_h::{TopH, TopHRule};
pub use top_k::TopK;
pub use top_p::TopP;

use crate::catalog::{Field, Kind, Range};

/// A parameter of every truncation stage: however hard the rule cuts, this many of the tokens it saw stay.
const MIN_TOKENS_TO_KEEP: Field = Field {
    name: "min_tokens_to_keep",
    aliases: &["min_keep"],
    summary: "how many tokens stay at least",
    kind: Kind::optional(Range::integers_from(1.0), 1.0),
};

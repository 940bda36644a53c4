//! What `decant bench sampler` measures when nobody says what.

use super::args::Observe::{self, Entropy, Nothing};

/// Samplers of every kind, and what their callers see.
pub const TABLE: [(&str, Observe); 26] = [
    // One truncation after another.
    ("temp=1,top_h=0.4", Entropy),
    ("temp=1,top_p=0.9", Entropy),
    ("min_p=0.1", Entropy),
    ("top_k=50", Entropy),
    ("eta=0.0003", Entropy),
    ("epsilon=0.0003", Entropy),
    ("top_n_sigma=1", Entropy),
    ("p_less=1", Entropy),
    ("min_k=3", Entropy),
    ("top_b=0.3", Entropy),
    ("typical=0.9", Entropy),
    // Steered by the row's entropy, or by what was drawn before.
    ("temp=by_entropy(0.5..4.0->0.3..1.8)", Entropy),
    ("mirostat=5", Entropy),
    // The whole vocabulary.
    ("temp=1", Entropy),
    // Chains: no dearer than their dearest stage.
    ("temp=1,top_p=0.9,min_p=0.05,top_k=50", Entropy),
    ("top_h=0.4,top_p=0.9,min_p=0.05", Entropy),
    ("top_k=1000,typical=0.9", Entropy),
    ("top_k=40,top_p=0.95,min_p=0.05,temp=0.8", Entropy),
    // Nobody looks, so nothing is computed for show.
    ("temp=0", Nothing),
    ("min_p=0.1", Nothing),
    ("top_k=50", Nothing),
    ("top_k=40,top_p=0.95,min_p=0.05,temp=0.8", Nothing),
    ("temp=1,top_h=0.4", Nothing),
    ("temp=1,top_p=0.9", Nothing),
    ("top_n_sigma=1", Nothing),
    ("temp=1", Nothing),
];

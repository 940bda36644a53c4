//! The truncations by floor, by distance and by shape against their twins.

mod support;

use decant_sampling::{Coins, History, SamplerSpec};
use support::agreement::{check, check_draws};
use support::rows;

const SPECS: &[&str] = &[
    "typical=0",
    "typical=0.2",
    "typical=0.9",
    "typical=0.2:min_tokens_to_keep=5",
    "epsilon=3e-4",
    "epsilon=0.05",
    "epsilon=1:min_tokens_to_keep=3",
    "eta=4e-3",
    "eta=0.3",
    "top_n_sigma=0.5",
    "top_n_sigma=1",
    "top_n_sigma=2.5:min_tokens_to_keep=4",
    "p_less",
    "p_less:norm=true",
    "p_less:min_tokens_to_keep=2",
    "min_k=0",
    "min_k=3",
    "min_k=300:min_tokens_to_keep=2",
    "top_b=0",
    "top_b=0.3",
    "top_b=0.5:min_tokens_to_keep=2",
    "top_a=0.2",
    "top_a=1:min_tokens_to_keep=2",
    "tfs=0",
    "tfs=0.5",
    "tfs=0.95:min_tokens_to_keep=3",
    "xtc=0.4:threshold=0.05",
    "xtc=0.6:threshold=0.05",
    "xtc=1:threshold=0.001:min_tokens_to_keep=4",
    "xtc=1,xtc=1:threshold=0.3",
    "xtc=1:threshold=0.01,top_k=5,xtc=0.4",
    "typical=0.7,typical=0.7,top_k=3",
    "typical=0.5,temp=0.7,min_p=0.1,xtc=1",
    "temp=3,top_n_sigma=1,temp=0.5,min_k=3,p_less",
    "top_p=0.95,tfs=0.9,top_a=0.1,top_b=0.4,eta=1e-3,epsilon=1e-3",
    "xtc=0.6:threshold=0.02,typical=0.9,top_h=0.8,p_less:norm=true",
    "typical=by_entropy(0.5..4->0.9..0.2),epsilon=by_entropy(0..5->1e-2..1e-4),tfs=by_entropy(0..3->0.6..0.99)",
    "eta=by_entropy(0..5->1e-2..1e-4),top_n_sigma=by_entropy(0..3->0.7..2),min_k=by_entropy(0..3->0..9)",
    "top_b=by_entropy(0..1->0.1..0.5:by=max_prob),top_a=by_entropy(0..1->0.5..0.1:by=max_prob)",
    "xtc=by_entropy(0..1->0.9..0.1:by=max_prob):threshold=by_entropy(0..5->0.2..0.01)",
];

#[test]
fn every_truncation_equals_its_twin() {
    let (mut cases, mut ties) = (0, 0);
    for (name, row) in rows(0).into_iter().chain(rows(1)) {
        for spec in SPECS {
            let spec: SamplerSpec = spec.parse().unwrap();
            cases += 1;
            ties += usize::from(check(name, &spec, &row, History::default(), Coins::fixed(0.5)));
        }
    }
    assert!(ties * 20 < cases, "{ties} of {cases} rows are near-ties: the rows test nothing");
}

#[test]
fn every_coin_draws_the_token_that_it_should() {
    let specs = [
        "typical=0.6",
        "temp=1.3,epsilon=0.01",
        "eta=0.05",
        "top_n_sigma=1.5,temp=2",
        "p_less",
        "p_less:norm=true",
        "min_k=3",
        "top_b=0.4",
        "top_a=0.3",
        "tfs=0.9",
        "xtc=1:threshold=0.05,temp=0.9",
    ];
    for (name, row) in rows(3) {
        for spec in specs {
            check_draws(name, &spec.parse().unwrap(), &row, History::default());
        }
    }
}

//! The paper's figure: how near greedy comes to the optimum.

use super::Report;
use crate::plot::{Axis, Mark, Panel, Picture, Series};

type Ratio = fn(&Report) -> f64;

/// Greedy and skip-greedy as shares of the optimum: over all rows, worst first, and by the row's entropy.
pub fn picture(title: &str, reports: &[Report]) -> Picture {
    let ways: [(&str, Ratio); 2] = [
        ("skip-greedy", |report| report.skip / report.optimum),
        ("greedy (Top-H)", |report| report.greedy / report.optimum),
    ];
    let share = || Axis::linear("mass / optimum");
    let mut sorted = Panel::new("over all rows, worst first", Axis::linear("share of rows"), share());
    let mut scattered = Panel::new("by entropy", Axis::linear("H(p), nats"), share());
    for (name, ratio) in ways {
        let mut ratios: Vec<f64> = reports.iter().map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let last = ratios.len().saturating_sub(1).max(1) as f64;
        let curve = ratios.into_iter().enumerate().map(|(place, ratio)| (place as f64 / last, ratio));
        sorted = sorted.with(Series::new(name, Mark::Line, curve));
        let points = reports.iter().map(|report| (report.entropy, ratio(report)));
        scattered = scattered.with(Series::new(name, Mark::Points, points));
    }
    Picture::new(title).columns(2).with(sorted).with(scattered)
}

//! What was measured, to be seen.

use super::report::{Histogram, quantile};
use super::{Entropies, Thresholds};
use crate::plot::{Axis, Mark, Panel, Picture, Series};

/// The histogram of the entropies, with the thresholds if there are some, and their quartiles along the text.
pub fn picture(entropies: &Entropies, thresholds: Option<&Thresholds>) -> Picture {
    Picture::new("How uncertain the model is")
        .columns(2)
        .with(distribution(entropies, thresholds))
        .with(course(entropies))
}

fn distribution(entropies: &Entropies, thresholds: Option<&Thresholds>) -> Panel {
    let Histogram { width, counts } = Histogram::of(&entropies.sorted());
    let edge = |bin: usize| bin as f64 * width;
    let bars = counts.iter().enumerate().map(|(bin, &count)| (edge(bin), count as f64));
    let bars = bars.chain([(edge(counts.len()), 0.0)]);
    let most = counts.iter().max().map_or(1.0, |&most| most as f64);
    let axes = Panel::new(
        "all steps",
        Axis::linear("entropy, nats").range(0.0, edge(counts.len())),
        Axis::linear("steps").range(0.0, 1.1 * most.max(1.0)),
    );
    let panel = axes.with(Series::new("entropies", Mark::Bars, bars));
    let rules = thresholds.map(|Thresholds { low, high }| {
        let rules = Series::new("thresholds", Mark::Rules, [low, high].map(|at| (at.entropy, 0.0)));
        rules.labels([low, high].map(|at| format!("{}%: {}", at.percent, at.entropy)))
    });
    rules.into_iter().fold(panel, Panel::with)
}

/// The quartiles at each position that some text reaches.
fn course(entropies: &Entropies) -> Panel {
    let longest = entropies.texts.iter().map(Vec::len).max().unwrap_or(0);
    let columns: Vec<Vec<f64>> = (0..longest).map(|position| entropies.at(position)).collect();
    let along = |percent: f64| {
        let points = columns.iter().enumerate().map(move |(position, at)| (position as f64, quantile(at, percent)));
        Series::new(format!("{percent}th percentile"), Mark::Line, points)
    };
    let axes = Panel::new("along the text", Axis::linear("position of the token"), Axis::linear("entropy, nats"));
    [75.0, 50.0, 25.0].map(along).into_iter().fold(axes, Panel::with)
}

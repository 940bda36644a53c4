//! The course of a run as SVG: entropy, temperature and kept tokens over the steps.

use decant_decode::TraceStep;
use decant_lab::plot::tick_step;
use std::fmt::Write;

/// Where the first and the last step lie, in the picture's units.
pub const LEFT: f64 = 46.0;
pub const RIGHT: f64 = 986.0;
const WIDTH: f64 = 1000.0;
const TITLE: f64 = 26.0;

/// One quantity over the steps.
struct Panel {
    title: &'static str,
    /// Its class in the page's style sheet.
    class: &'static str,
    height: f64,
    scale: Scale,
    values: Vec<f64>,
    /// A second curve on the same scale, with its class.
    also: Option<(&'static str, Vec<f64>)>,
    /// Whether the surface under the curve is filled.
    filled: bool,
}

/// From a value to a height between 0 and 1.
#[derive(Clone, Copy)]
enum Scale {
    Linear { step: f64, ticks: f64 },
    Log { top: f64 },
}

impl Scale {
    /// From 0 to a round number that holds all values, in at most so many parts.
    fn linear(values: &[f64], parts: f64) -> Self {
        let most = values.iter().copied().fold(0.0, f64::max).max(1e-3);
        let (step, _) = tick_step(most, parts);
        Scale::Linear { step, ticks: (most / step).ceil() }
    }

    /// From 1 to a power of ten that holds all values.
    fn log(values: &[f64]) -> Self {
        let most = values.iter().copied().fold(10.0, f64::max);
        Scale::Log { top: most.log10().ceil() }
    }

    fn height(self, value: f64) -> f64 {
        match self {
            Scale::Linear { step, ticks } => value / (step * ticks),
            Scale::Log { top } => value.max(1.0).log10() / top,
        }
    }

    /// The values that get a line.
    fn ticks(self) -> Vec<f64> {
        match self {
            Scale::Linear { step, ticks } => (0..=ticks as i32).map(|tick| f64::from(tick) * step).collect(),
            Scale::Log { top } => (0..=top as i32).map(|power| 10f64.powi(power)).collect(),
        }
    }
}

/// The picture of a run.
pub fn svg(steps: &[TraceStep]) -> String {
    let values = |of: fn(&TraceStep) -> f64| steps.iter().map(of).collect::<Vec<f64>>();
    let entropy = values(|step| step.step.entropy);
    let temperature = values(|step| step.step.temperature);
    let kept = values(|step| f64::from(step.step.kept));
    let panels = [
        Panel {
            title: "entropy H of the model, and of what was kept (blue), nats",
            class: "entropy",
            height: 150.0,
            scale: Scale::linear(&entropy, 5.0),
            values: entropy,
            also: Some(("kept", values(|step| step.step.kept_entropy))),
            filled: true,
        },
        Panel {
            title: "temperature T",
            class: "temperature",
            height: 60.0,
            scale: Scale::linear(&temperature, 2.0),
            values: temperature,
            also: None,
            filled: false,
        },
        Panel {
            title: "tokens kept (logarithmic)",
            class: "kept",
            height: 90.0,
            scale: Scale::log(&kept),
            values: kept,
            also: None,
            filled: false,
        },
    ];
    let mut body = String::new();
    let mut y = 0.0;
    for panel in &panels {
        panel.draw(&mut body, y + TITLE);
        y += TITLE + panel.height + 10.0;
    }
    for step in step_ticks(steps.len()) {
        let _ = write!(
            body,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{step}</text>"#,
            x(step, steps.len()),
            y + 8.0
        );
    }
    let bottom = y + 14.0;
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {bottom}" data-left="{LEFT}" data-right="{RIGHT}" role="img" aria-label="Entropy, temperature and kept tokens over the steps">{body}<line class="cursor" y1="{TITLE}" y2="{:.1}"/></svg>"#,
        y - 10.0
    )
}

impl Panel {
    fn draw(&self, out: &mut String, top: f64) {
        let y = |value: f64| top + self.height * (1.0 - self.scale.height(value));
        let _ =
            write!(out, r#"<text class="name {}" x="{LEFT}" y="{:.1}">{}</text>"#, self.class, top - 9.0, self.title);
        for tick in self.scale.ticks() {
            let at = y(tick);
            let label = (tick * 1e6).round() / 1e6;
            let _ = write!(
                out,
                r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1}" y2="{at:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#,
                LEFT - 8.0,
                at + 4.0
            );
        }
        let points = |values: &[f64]| -> String {
            values.iter().enumerate().map(|(i, &value)| format!("{:.1},{:.2} ", x(i, values.len()), y(value))).collect()
        };
        let (curve, base) = (points(&self.values), y(0.0));
        if self.filled {
            let _ = write!(out, r#"<polygon class="area" points="{LEFT},{base} {curve}{RIGHT},{base}"/>"#);
        }
        let _ = write!(out, r#"<polyline class="{}" points="{curve}"/>"#, self.class);
        if let Some((class, values)) = &self.also {
            let _ = write!(out, r#"<polyline class="{class}" points="{}"/>"#, points(values));
        }
    }
}

/// Where a step lies.
fn x(step: usize, steps: usize) -> f64 {
    match steps {
        0 | 1 => (LEFT + RIGHT) / 2.0,
        _ => LEFT + (RIGHT - LEFT) * step as f64 / (steps - 1) as f64,
    }
}

/// The steps that get a number.
fn step_ticks(steps: usize) -> impl Iterator<Item = usize> {
    let (distance, _) = tick_step(steps as f64, 12.0);
    (0..steps).step_by(distance.max(1.0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(Scale::linear(&[4.2], 5.0).ticks(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(Scale::linear(&[1.0, 0.3], 2.0).ticks(), [0.0, 0.5, 1.0]);
        assert_eq!(Scale::log(&[1.0, 230.0]).ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(step_ticks(0).count(), 0);
        assert_eq!(step_ticks(1).collect::<Vec<_>>(), [0]);
        assert!((4..=12).contains(&step_ticks(256).count()));
    }
}

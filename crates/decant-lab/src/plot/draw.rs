//! A [`Picture`] as the text of an SVG.

use super::scale::Fit;
use super::{Mark, Panel, Picture, Series};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// How many colours there are in the style sheet, and how many markers.
const LOOKS: usize = 7;
/// Patterns of dashes; their number shares no factor with [`LOOKS`], so that 35 lines look each its own way.
const DASHES: [&str; 5] = ["", "7 3", "2 2.5", "9 3 2 3", "4 2"];
/// How many points of a line have markers, about; those of a shorter line all have.
const MARKED: usize = 24;

/// What stands around a plot, in the picture's units (pixels at its own size).
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const ABOVE: f64 = 24.0;
const BELOW: f64 = 46.0;
const TITLE: f64 = 34.0;
/// A row of the legend, and how wide its sample is.
const ROW: f64 = 20.0;
const SAMPLE: f64 = 30.0;
/// How wide a letter is on average; a file cannot know the reader's font.
const LETTER: f64 = 6.6;

/// The picture as an SVG document.
pub(super) fn svg(picture: &Picture) -> String {
    let columns = picture.columns.clamp(1, picture.panels.len().max(1));
    let rows = picture.panels.len().div_ceil(columns);
    let [plot_width, plot_height] = match columns {
        1 => [640.0, 380.0],
        2 => [420.0, 290.0],
        _ => [300.0, 220.0],
    };
    let (cell_width, cell_height) = (LEFT + plot_width + RIGHT, ABOVE + plot_height + BELOW);
    let width = columns as f64 * cell_width;
    let names = names(picture);
    let mut body = String::new();
    text(&mut body, "title", [LEFT, 23.0], "start", &picture.title);
    for (number, panel) in picture.panels.iter().enumerate() {
        let (column, row) = (number % columns, number / columns);
        let corner = [column as f64 * cell_width + LEFT, TITLE + row as f64 * cell_height + ABOVE];
        Plot::new(panel, &names, corner, [plot_width, plot_height]).draw(&mut body);
    }
    let top = TITLE + rows as f64 * cell_height;
    let height = top + legend(&mut body, picture, &names, width, top) + 8.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"lab-plot\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<style>\n{STYLE}</style>\n{body}</svg>\n",
        escape(&picture.title)
    )
}

/// The names of the series in the order in which they are met: a name's place decides how it looks.
fn names(picture: &Picture) -> Vec<&str> {
    let mut names = Vec::new();
    for series in picture.panels.iter().flat_map(|panel| &panel.series) {
        if !names.contains(&series.name.as_str()) {
            names.push(series.name.as_str());
        }
    }
    names
}

/// Draws the legend from `top` down and returns its height.
fn legend(out: &mut String, picture: &Picture, names: &[&str], width: f64, top: f64) -> f64 {
    let (mut x, mut y) = (LEFT, top + ROW / 2.0);
    for (number, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let room = SAMPLE + 8.0 + LETTER * name.chars().count() as f64 + 18.0;
        if x > LEFT && x + room > width {
            (x, y) = (LEFT, y + ROW);
        }
        let series = picture.panels.iter().flat_map(|panel| &panel.series).find(|series| series.name == *name);
        let look = Look(number);
        match series.map(|series| series.mark) {
            Some(Mark::Bars) => area(out, look, &format!("M{x:.1} {:.1}h{SAMPLE}v10h-{SAMPLE}z", y - 5.0)),
            Some(Mark::Points) => look.marker(out, [x + SAMPLE / 2.0, y]),
            Some(mark) => {
                line(out, look, &format!("M{x:.1} {y:.1}h{SAMPLE}"));
                if mark == Mark::Line {
                    look.marker(out, [x + SAMPLE / 2.0, y]);
                }
            }
            None => {}
        }
        text(out, "", [x + SAMPLE + 8.0, y + 4.0], "start", name);
        x += room;
    }
    y + ROW / 2.0 - top
}

/// How the series of a number looks: colour, dash and marker.
#[derive(Clone, Copy)]
struct Look(usize);

impl Look {
    fn class(self) -> String {
        format!("s{}", self.0 % LOOKS)
    }

    fn dash(self) -> String {
        match DASHES[self.0 % DASHES.len()] {
            "" => String::new(),
            dash => format!(" stroke-dasharray=\"{dash}\""),
        }
    }

    fn marker(self, out: &mut String, [x, y]: [f64; 2]) {
        // After a round of colours the markers go on by one: 49 pairs.
        let shape = match (self.0 + self.0 / LOOKS) % LOOKS {
            0 => "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
            1 => "m-3.2 -3.2h6.4v6.4h-6.4z",
            2 => "m0 -4.2l4 7h-8z",
            3 => "m0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
            4 => "m0 4.2l4 -7h-8z",
            5 => "m-1.3 -4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
            _ => "m-4.2 0l7 -4v8z",
        };
        let _ = writeln!(out, "<path class=\"mark {}\" d=\"M{x:.1} {y:.1}{shape}\"/>", self.class());
    }
}

/// A panel laid out.
struct Plot<'a> {
    panel: &'a Panel,
    names: &'a [&'a str],
    x: Fit,
    y: Fit,
    corner: [f64; 2],
    size: [f64; 2],
}

impl<'a> Plot<'a> {
    fn new(panel: &'a Panel, names: &'a [&'a str], corner: [f64; 2], size: [f64; 2]) -> Self {
        // A point counts for an axis only if it has a place on the other one too.
        let placed = |series: &'a Series| {
            let both = |&&(x, y): &&(f64, f64)| panel.x.scale.place(x).is_some() && panel.y.scale.place(y).is_some();
            series.points.iter().filter(both)
        };
        let with_height = || panel.series.iter().filter(|series| series.mark != Mark::Rules);
        let rules = panel.series.iter().filter(|series| series.mark == Mark::Rules).flat_map(|rules| &rules.points);
        let x = panel.x.fit(with_height().flat_map(placed).chain(rules).map(|point| point.0));
        let y = panel.y.fit(with_height().flat_map(placed).map(|point| point.1));
        Plot { panel, names, x, y, corner, size }
    }

    fn draw(&self, out: &mut String) {
        let ([left, top], [width, height]) = (self.corner, self.size);
        text(out, "name", [left, top - 8.0], "start", &self.panel.title);
        for (value, label) in self.x.ticks(width / 60.0) {
            let x = left + self.x.at(value).unwrap_or(0.0) * width;
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {top}v{height}\"/>");
            text(out, "tick", [x, top + height + 15.0], "middle", &label);
        }
        for (value, label) in self.y.ticks(height / 40.0) {
            let y = top + (1.0 - self.y.at(value).unwrap_or(0.0)) * height;
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{left} {y:.1}h{width}\"/>");
            text(out, "tick", [left - 6.0, y + 4.0], "end", &label);
        }
        text(out, "", [left + width / 2.0, top + height + 34.0], "middle", &self.panel.x.title);
        let [x, y] = [left - 46.0, top + height / 2.0];
        let _ = writeln!(
            out,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&self.panel.y.title)
        );
        let drawn = || self.panel.series.iter().map(|series| (series, self.look(series), self.places(series)));
        // An inner SVG cuts off what lies outside the axes; markers on an axis stay whole.
        let _ = writeln!(
            out,
            "<svg x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" viewBox=\"{left} {top} {width} {height}\">"
        );
        drawn().for_each(|(series, look, places)| self.strokes(out, series.mark, look, &places));
        out.push_str("</svg>\n");
        let _ = writeln!(out, "<path class=\"frame\" d=\"M{left} {top}v{height}h{width}\"/>");
        drawn().for_each(|(series, look, places)| self.markers(out, series, look, &places));
    }

    fn look(&self, series: &Series) -> Look {
        Look(self.names.iter().position(|name| *name == series.name).unwrap_or(0))
    }

    /// Where the points of a series lie in the picture.
    fn places(&self, series: &Series) -> Vec<Option<[f64; 2]>> {
        let ([left, top], [width, height]) = (self.corner, self.size);
        let place = |&(x, y): &(f64, f64)| {
            let up = if series.mark == Mark::Rules { 1.0 } else { self.y.at(y)? };
            // Values far outside a given range may have no number of pixels.
            let place = [left + self.x.at(x)? * width, top + (1.0 - up) * height];
            place.iter().all(|at| at.is_finite()).then_some(place)
        };
        series.points.iter().map(place).collect()
    }

    /// Lines and areas.
    fn strokes(&self, out: &mut String, mark: Mark, look: Look, places: &[Option<[f64; 2]>]) {
        let (top, bottom) = (self.corner[1], self.corner[1] + self.size[1]);
        if mark == Mark::Rules {
            places.iter().flatten().for_each(|[x, _]| line(out, look, &format!("M{x:.2} {top}V{bottom}")));
            return;
        }
        for run in places.split(|place| place.is_none()) {
            let run: Vec<[f64; 2]> = run.iter().flatten().copied().collect();
            match mark {
                Mark::Line => line(out, look, &polyline(&run)),
                Mark::Steps => line(out, look, &staircase(&run)),
                Mark::Bars => area(out, look, &bars(&run, bottom)),
                Mark::Points | Mark::Rules => {}
            }
        }
    }

    /// Markers and labels of what lies within the axes.
    fn markers(&self, out: &mut String, series: &Series, look: Look, places: &[Option<[f64; 2]>]) {
        let ([left, top], [width, height]) = (self.corner, self.size);
        let within = |&[x, y]: &[f64; 2]| {
            (left - 0.5..=left + width + 0.5).contains(&x) && (top - 0.5..=top + height + 0.5).contains(&y)
        };
        let stride = match series.mark {
            Mark::Points => Some(1),
            Mark::Line => Some(places.len().div_ceil(MARKED).max(1)),
            Mark::Steps | Mark::Bars | Mark::Rules => None,
        };
        if let Some(stride) = stride {
            // Not all from the first point on: where lines run together, the markers of both are seen.
            let marked = places.iter().skip(look.0 % stride).step_by(stride);
            marked.flatten().copied().filter(within).for_each(|place| look.marker(out, place));
        }
        for (label, place) in series.labels.iter().zip(places) {
            let Some([x, y]) = place.filter(within) else { continue };
            // Towards the middle of the panel, where there is room.
            let (anchor, dx) = if x < left + 0.7 * width { ("start", 7.0) } else { ("end", -7.0) };
            let dy = if y < top + 14.0 { 12.0 } else { -5.0 };
            text(out, "label", [x + dx, y + dy], anchor, label);
        }
    }
}

fn line(out: &mut String, look: Look, d: &str) {
    if !d.is_empty() {
        let _ = writeln!(out, "<path class=\"line {}\"{} d=\"{d}\"/>", look.class(), look.dash());
    }
}

fn area(out: &mut String, look: Look, d: &str) {
    if !d.is_empty() {
        let _ = writeln!(out, "<path class=\"area {}\"{} d=\"{d}\"/>", look.class(), look.dash());
    }
}

fn polyline(run: &[[f64; 2]]) -> String {
    let mut d = String::new();
    for (i, [x, y]) in run.iter().enumerate() {
        let _ = write!(d, "{}{x:.2} {y:.2}", if i == 0 { "M" } else { "L" });
    }
    d
}

fn staircase(run: &[[f64; 2]]) -> String {
    let mut d = String::new();
    for (i, [x, y]) in run.iter().enumerate() {
        let _ = match i {
            0 => write!(d, "M{x:.2} {y:.2}"),
            _ => write!(d, "H{x:.2}V{y:.2}"),
        };
    }
    d
}

/// A box from each place to the next, down to `bottom`.
fn bars(run: &[[f64; 2]], bottom: f64) -> String {
    let mut d = String::new();
    for pair in run.windows(2) {
        let [[x, y], [next, _]] = [pair[0], pair[1]];
        let _ = write!(d, "M{x:.2} {bottom}V{y:.2}H{next:.2}V{bottom}z");
    }
    d
}

fn text(out: &mut String, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(out, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
}

/// Text as it stands in XML, without the characters that XML cannot hold.
fn escape(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml += "&amp;",
            '<' => xml += "&lt;",
            '>' => xml += "&gt;",
            '"' => xml += "&quot;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => xml.push(' '),
            c => xml.push(c),
        }
    }
    xml
}

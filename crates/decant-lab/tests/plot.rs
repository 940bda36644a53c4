//! Pictures are well-formed, whatever is drawn.

use decant_lab::plot::{Axis, Mark, Panel, Picture, Series};
use proptest::prelude::*;

const MARKS: [Mark; 5] = [Mark::Line, Mark::Points, Mark::Steps, Mark::Bars, Mark::Rules];

fn picture(points: &[(f64, f64)], name: &str, log: bool) -> Picture {
    let axis = |title: &str| if log { Axis::log(title) } else { Axis::linear(title) };
    let panel = |mark| {
        let series = Series::new(name, mark, points.iter().copied()).labels([name, name]);
        Panel::new(name, axis("x"), axis("y")).with(series).with(Series::new("other", mark, [(1.0, 2.0)]))
    };
    MARKS.into_iter().map(panel).fold(Picture::new(name).columns(2), Picture::with)
}

/// Whether every element that is opened is closed, in order, and no attribute or text holds what XML forbids.
fn well_formed(svg: &str) -> bool {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some((text, more)) = rest.split_once('<') {
        let Some((tag, after)) = more.split_once('>') else { return false };
        if text.contains('>') || tag.matches('"').count() % 2 == 1 {
            return false;
        }
        let name = tag.trim_end_matches('/').split([' ', '\n']).next().unwrap_or("");
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return false,
            None if !tag.ends_with('/') => open.push(name),
            _ => {}
        }
        rest = after;
    }
    open.is_empty() && rest.trim().is_empty()
}

proptest! {
    #[test]
    fn any_points_and_names_make_a_picture(
        points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..60), name: String, log: bool,
    ) {
        let svg = picture(&points, &name, log).svg();
        prop_assert!(well_formed(&svg), "{svg}");
        prop_assert!(!svg.contains("NaN") || name.contains("NaN"), "{svg}");
        prop_assert!(!svg.contains("inf") || name.contains("inf"), "{svg}");
    }
}

#[test]
fn a_series_looks_the_same_in_every_panel_and_stands_in_the_legend_once() {
    let axes = || Panel::new("", Axis::linear("x"), Axis::linear("y"));
    let line = |name: &str| Series::new(name, Mark::Line, [(0.0, 0.0), (1.0, 1.0)]);
    let svg = Picture::new("")
        .with(axes().with(line("one")).with(line("two")))
        .with(axes().with(line("two")).with(line("")))
        .svg();
    assert_eq!(svg.matches(">two<").count(), 1);
    assert_eq!(svg.matches("class=\"line s1\"").count(), 3, "two curves and the legend");
    assert_eq!(svg.matches("class=\"line s2\"").count(), 1, "a nameless curve stands in no legend");
}

#[test]
fn points_without_a_place_part_a_line() {
    let points = [(1.0, 1.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 0.0), (5.0, 1.0), (6.0, 3.0)];
    let axes = Panel::new("", Axis::linear("x"), Axis::log("y"));
    let svg = Picture::new("").with(axes.with(Series::new("", Mark::Line, points))).svg();
    assert_eq!(svg.matches("class=\"line s0\"").count(), 2, "{svg}");
    assert_eq!(svg.matches("class=\"mark s0\"").count(), 4, "{svg}");
}

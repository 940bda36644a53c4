//! Pictures of tables, as SVG: curves, points, steps and bars over linear or logarithmic axes, several panels side by side.
//!
//! A picture says what is to be seen, [`Picture::svg`] how. The text of the SVG is a function of the picture alone, so
//! equal studies have equal files. Colours are those of Okabe and Ito ("Color Universal Design", 2008), which the
//! colour-blind tell apart; every series has a dash and a marker of its own besides. It is light or dark as the reader's
//! screen prefers, and may stand alone, in an `<img>`, or inside a page.
//!
//! ```
//! use decant_lab::plot::{Axis, Mark, Panel, Picture, Series};
//!
//! let squares = (1..=100).map(|n| (f64::from(n), f64::from(n * n)));
//! let panel = Panel::new("growth", Axis::log("n"), Axis::log("n squared"))
//!     .with(Series::new("squares", Mark::Line, squares));
//! let svg = Picture::new("How squares grow").with(panel).svg();
//! assert!(svg.starts_with("<svg ") && svg.contains("How squares grow"));
//! ```

mod draw;
mod scale;

pub use scale::{Axis, Scale, tick_step};

/// Panels under one title and one legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What the picture shows.
    pub title: String,
    /// Read from left to right, then down.
    pub panels: Vec<Panel>,
    /// How many panels stand side by side, at most.
    pub columns: usize,
}

/// A pair of axes and what is drawn between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What sets this panel apart from its neighbours; may be empty.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// Drawn in this order.
    pub series: Vec<Series>,
}

/// Points that belong together. Series of one name look the same in all panels and stand in the legend once; one without
/// a name does not stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How its points are drawn.
    pub mark: Mark,
    /// The points. One that is not finite, or not positive on a logarithmic axis, is left out and parts the line.
    pub points: Vec<(f64, f64)>,
    /// What is written beside the points, in their order; may be shorter, and empty texts are left out.
    pub labels: Vec<String>,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points, with markers while they are few.
    Line,
    /// Markers alone.
    Points,
    /// A level from each point to the next: a histogram's outline, a cumulative distribution.
    Steps,
    /// A filled level from each point to the next, down to the lower end of the axis: a histogram. The last point only
    /// says where the last bar ends.
    Bars,
    /// A vertical line at each point's x; its y does not count.
    Rules,
}

impl Picture {
    /// One without panels, which will stand up to three side by side.
    pub fn new(title: impl Into<String>) -> Self {
        Picture { title: title.into(), panels: Vec::new(), columns: 3 }
    }

    /// The picture with one more panel.
    #[must_use]
    pub fn with(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// The picture with so many panels side by side, at least one.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// The picture as an SVG document.
    pub fn svg(&self) -> String {
        draw::svg(self)
    }
}

impl Panel {
    /// Axes with nothing between them.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Panel { title: title.into(), x, y, series: Vec::new() }
    }

    /// The panel with one more series.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }
}

impl Series {
    /// Points without labels.
    pub fn new(name: impl Into<String>, mark: Mark, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Series { name: name.into(), mark, points: points.into_iter().collect(), labels: Vec::new() }
    }

    /// The series with texts beside its points, in their order.
    #[must_use]
    pub fn labels<T: Into<String>>(mut self, labels: impl IntoIterator<Item = T>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }
}

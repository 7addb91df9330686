//! Charts as SVG: points from JSON lines in, one picture out, the same for the same points. Nothing is asked of the
//! machine:
//! text is text, in whatever font the reader has.

mod axis;
mod plot;

use plotters::drawing::DrawingAreaErrorKind;
use serde::Deserialize;

pub use plot::draw;

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum NoChart {
    /// A line is no point.
    #[error("line {line} is no point, {{\"series\": …, \"x\": …, \"y\": …}}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing to show.
    #[error("there are no points on standard input")]
    Empty,
    /// A place that a logarithmic axis has not.
    #[error("a logarithmic axis has no place for {0}: leave out --log-x or --log-y")]
    NotPositive(f64),
    /// A name on an axis of numbers.
    #[error("a line's x is a number, not {0:?}: use --kind bars")]
    NoNumber(String),
    /// The drawing failed.
    #[error("the chart could not be drawn: {0}")]
    Drawing(String),
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for NoChart {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Drawing(error.to_string())
    }
}

/// A point.
#[derive(Debug, Clone, Deserialize)]
pub struct Point {
    /// Whose it is.
    pub series: String,
    /// Where.
    pub x: X,
    /// How much.
    pub y: f64,
    /// The least that was measured.
    pub low: Option<f64>,
    /// The most that was measured.
    pub high: Option<f64>,
}

/// A number, or the name of a group of bars.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum X {
    /// A number.
    Number(f64),
    /// A name.
    Name(String),
}

impl X {
    fn name(&self) -> String {
        match self {
            Self::Number(number) => axis::grouped(*number),
            Self::Name(name) => name.clone(),
        }
    }

    fn number(&self) -> Result<f64, NoChart> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Name(name) => Err(NoChart::NoNumber(name.clone())),
        }
    }
}

/// How the points are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A group of bars for each x, a bar for each series.
    Bars,
    /// A line for each series.
    Lines,
}

/// What stands around the points.
#[derive(Debug, Clone, clap::Args)]
pub struct Frame {
    /// How the points are shown.
    #[arg(long, value_enum, default_value = "lines")]
    pub kind: Kind,
    /// Above.
    #[arg(long, default_value = "")]
    pub title: String,
    /// Below.
    #[arg(long, default_value = "")]
    pub x_label: String,
    /// At the left.
    #[arg(long, default_value = "")]
    pub y_label: String,
    /// Each step to the right multiplies.
    #[arg(long)]
    pub log_x: bool,
    /// Each step up multiplies.
    #[arg(long)]
    pub log_y: bool,
}

/// Points from JSON lines.
///
/// # Errors
/// [`NoChart`].
pub fn points(lines: &str) -> Result<Vec<Point>, NoChart> {
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let points = lines.map(|(n, line)| {
        serde_json::from_str(line).map_err(|source| NoChart::Line { line: n + 1, source })
    });
    let points: Vec<_> = points.collect::<Result<_, _>>()?;
    if points.is_empty() { Err(NoChart::Empty) } else { Ok(points) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"
        {"series": "ours", "x": 1, "y": 500}
        {"series": "ours", "x": 16, "y": 2500.5, "low": 2400, "high": 2600}
        {"series": "a < b", "x": 1, "y": 20}
    "#;

    fn frame(kind: Kind, log: bool) -> Frame {
        let text = |text: &str| text.to_owned();
        let (title, x_label, y_label) = (text("Runs a second"), text("in flight"), text("runs"));
        Frame { kind, title, x_label, y_label, log_x: log, log_y: log }
    }

    #[test]
    fn the_same_points_are_the_same_picture() {
        let points = points(LINES).unwrap();
        for (kind, log) in [(Kind::Lines, false), (Kind::Lines, true), (Kind::Bars, false), (Kind::Bars, true)] {
            let svg = draw(&points, &frame(kind, log)).unwrap();
            assert_eq!(svg, draw(&points, &frame(kind, log)).unwrap());
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("Runs a second") && svg.contains("a &lt; b") && !svg.contains("a < b"));
        }
    }

    #[test]
    fn what_is_no_point_is_named() {
        assert!(matches!(points("{}"), Err(NoChart::Line { line: 1, .. })));
        assert!(matches!(points(" \n"), Err(NoChart::Empty)));
        let at = |x: &str, y: &str| points(&format!(r#"{{"series":"s","x":{x},"y":{y}}}"#)).unwrap();
        assert!(matches!(draw(&at("0", "1"), &frame(Kind::Lines, true)), Err(NoChart::NotPositive(_))));
        assert!(matches!(draw(&at(r#""pg""#, "1"), &frame(Kind::Lines, false)), Err(NoChart::NoNumber(_))));
        draw(&at(r#""pg""#, "0"), &frame(Kind::Bars, false)).unwrap();
    }
}

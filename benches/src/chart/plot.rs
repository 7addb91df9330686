//! What is drawn: title, legend, grid, and bars or lines.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::{Frame, Kind, NoChart, Point, X};

/// Of the whole picture, in pixels.
const SIZE: (u32, u32) = (800, 460);

/// Told apart by eyes of all kinds (after Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];

/// The reader's own: no font file is read, and none is stored.
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Of a letter of the legend, roughly: the real width is known to the reader's browser alone.
const LETTER: i32 = 8;

/// How much of its group's width the bars of a group take.
const GROUP: f64 = 0.76;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// The picture, as SVG.
///
/// # Errors
/// [`NoChart`].
pub fn draw(points: &[Point], frame: &Frame) -> Result<String, NoChart> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        // A page may be dark: the picture brings its own paper.
        area.fill(&WHITE)?;
        let series = names(points.iter().map(|point| point.series.clone()));
        let (head, body) = area.split_vertically(if series.len() > 1 { 84 } else { 56 });
        write_head(&head, &frame.title, &series)?;
        match frame.kind {
            Kind::Lines => lines(&body, points, frame, &series)?,
            Kind::Bars => bars(&body, points, frame, &series)?,
        }
        area.present()?;
    }
    Ok(svg)
}

/// Each once, in the order in which they come.
fn names(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn write_head(area: &Area<'_>, title: &str, series: &[String]) -> Result<(), NoChart> {
    area.draw_text(title, &(FONT, 24).into_font().color(&INK).into_text_style(area), (16, 16))?;
    if series.len() < 2 {
        return Ok(());
    }
    let style = (FONT, 17).into_font().color(&INK).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = 18;
    for (n, name) in series.iter().enumerate() {
        area.draw(&Rectangle::new([(x, 51), (x + 12, 63)], colour(n).filled()))?;
        area.draw_text(name, &style, (x + 18, 57))?;
        x += 34 + LETTER * i32::try_from(name.chars().count()).unwrap_or(0);
    }
    Ok(())
}

fn colour(n: usize) -> RGBColor {
    COLOURS[n % COLOURS.len()]
}

/// The axes and the grid. What was measured least and most fits in too.
fn axes<'a, 'b>(
    area: &'b Area<'a>,
    points: &[Point],
    frame: &Frame,
    x: Axis,
) -> Result<(Chart<'a, 'b>, f64), NoChart> {
    let all = points.iter().flat_map(|point| [Some(point.y), point.low, point.high]).flatten();
    let y = Axis::up_to(&all.collect::<Vec<_>>(), frame.log_y)?;
    let foot = y.foot();
    let mut chart = ChartBuilder::on(area)
        .margin_right(24)
        .margin_left(8)
        .margin_bottom(8)
        .x_label_area_size(54)
        .y_label_area_size(80)
        .build_cartesian_2d(x, y)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(GRID).axis_style(INK).label_style((FONT, 16, &INK));
    mesh.axis_desc_style((FONT, 17, &INK)).x_desc(&frame.x_label).y_desc(&frame.y_label);
    if frame.kind == Kind::Bars {
        mesh.disable_x_mesh();
    }
    mesh.draw()?;
    Ok((chart, foot))
}

fn lines(area: &Area<'_>, points: &[Point], frame: &Frame, series: &[String]) -> Result<(), NoChart> {
    let xs = points.iter().map(|point| point.x.number()).collect::<Result<Vec<_>, _>>()?;
    let (mut chart, _) = axes(area, points, frame, Axis::at(&xs, frame.log_x)?)?;
    for (n, name) in series.iter().enumerate() {
        let own = points.iter().zip(&xs).filter(|(point, _)| point.series == *name);
        let mut own: Vec<_> = own.map(|(point, x)| (*x, point)).collect();
        own.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let style = colour(n).stroke_width(2);
        chart.draw_series(LineSeries::new(own.iter().map(|(x, point)| (*x, point.y)), style))?;
        chart.draw_series(own.iter().filter_map(|(x, point)| spread(*x, point, colour(n))))?;
        let dot = |(x, point): &(f64, &Point)| Circle::new((*x, point.y), 4, colour(n).filled());
        chart.draw_series(own.iter().map(dot))?;
    }
    Ok(())
}

fn bars(area: &Area<'_>, points: &[Point], frame: &Frame, series: &[String]) -> Result<(), NoChart> {
    let groups = names(points.iter().map(|point| X::name(&point.x)));
    let (mut chart, foot) = axes(area, points, frame, Axis::of_names(&groups))?;
    let width = GROUP / series.len() as f64;
    for point in points {
        let group = groups.iter().position(|name| *name == point.x.name()).unwrap_or(0) as f64;
        let n = series.iter().position(|name| *name == point.series).unwrap_or(0);
        let left = group + (1.0 - GROUP) / 2.0 + n as f64 * width;
        let bar = [(left + width * 0.05, foot), (left + width * 0.95, point.y.max(foot))];
        chart.draw_series([Rectangle::new(bar, colour(n).filled())])?;
        chart.draw_series(spread(left + width / 2.0, point, INK))?;
    }
    Ok(())
}

/// From the least to the most that was measured.
fn spread(x: f64, point: &Point, colour: RGBColor) -> Option<PathElement<(f64, f64)>> {
    let (low, high) = point.low.zip(point.high)?;
    Some(PathElement::new([(x, low), (x, high)], colour.stroke_width(2)))
}

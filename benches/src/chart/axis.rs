//! An axis: from where to where, by sums or by products, and the places that are marked on it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::NoChart;

/// About how many marks an axis has that chooses them itself.
const MARKS: f64 = 6.0;

/// An axis.
#[derive(Clone)]
pub(super) struct Axis {
    range: Range<f64>,
    log: bool,
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// With a mark at each of these values, a little room beside them.
    pub(super) fn at(values: &[f64], log: bool) -> Result<Self, NoChart> {
        let mut marks = values.to_vec();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        let (low, high) = ends(&marks, log)?;
        let range = if log {
            let room = (high / low).powf(0.04).max(1.1);
            low / room..high * room
        } else {
            let room = ((high - low) * 0.04).max(0.5);
            low - room..high + room
        };
        Ok(Self { range, log, marks: marks.into_iter().map(|mark| (mark, grouped(mark))).collect() })
    }

    /// For groups of these names, each one unit wide.
    pub(super) fn of_names(names: &[String]) -> Self {
        let marks = names.iter().enumerate().map(|(n, name)| (n as f64 + 0.5, name.clone())).collect();
        Self { range: 0.0..names.len() as f64, log: false, marks }
    }

    /// From nothing up to the greatest of these, at round marks; by products from the power of ten below them.
    pub(super) fn up_to(values: &[f64], log: bool) -> Result<Self, NoChart> {
        let (low, high) = ends(values, log)?;
        let (range, marks) = if log { decades(low, high) } else { steps(high) };
        Ok(Self { range, log, marks: marks.into_iter().map(|mark| (mark, grouped(mark))).collect() })
    }

    /// Its foot.
    pub(super) fn foot(&self) -> f64 {
        self.range.start
    }

    fn place(&self, value: f64) -> f64 {
        if self.log { value.ln() } else { value }
    }
}

fn ends(values: &[f64], log: bool) -> Result<(f64, f64), NoChart> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if log && low <= 0.0 { Err(NoChart::NotPositive(low)) } else { Ok((low, high)) }
}

/// Marks at 1, 2 or 5 times a power of ten.
fn steps(high: f64) -> (Range<f64>, Vec<f64>) {
    let high = if high > 0.0 { high } else { 1.0 };
    let unit = 10f64.powf((high / MARKS).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit);
    let step = step.into_iter().find(|step| high / step <= MARKS).unwrap_or(10.0 * unit);
    let marks = (high / step).ceil();
    (0.0..marks * step, (0..=marks as u32).map(|n| f64::from(n) * step).collect())
}

fn decades(low: f64, high: f64) -> (Range<f64>, Vec<f64>) {
    let (first, last) = (low.log10().floor(), high.log10().ceil());
    let last = if last > first { last } else { first + 1.0 };
    let powers = (0..=(last - first) as u32).map(|n| 10f64.powf(first + f64::from(n)));
    let between: &[f64] = if last - first > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let top = 10f64.powf(last);
    let marks = powers.flat_map(|power| between.iter().map(move |times| times * power));
    (10f64.powf(first)..top, marks.filter(|mark| *mark <= top * 1.001).collect())
}

/// A number as people write it: `12,000`, `0.25`.
pub(super) fn grouped(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    rest.map_or(out.clone(), |rest| format!("{out}.{rest}"))
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let (low, high) = (self.place(self.range.start), self.place(self.range.end));
        let share = (self.place(*value) - low) / (high - low);
        // Pixels: far within an i32.
        #[expect(clippy::cast_possible_truncation, reason = "a share of the picture's width")]
        let along = (share * f64::from(to - from)).round() as i32;
        from + along
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.marks.iter().map(|(mark, _)| *mark).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let named = self.marks.iter().find(|(mark, _)| mark == value);
        named.map_or_else(|| grouped(*value), |(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let pairs = [(0.0, "0"), (999.0, "999"), (1000.0, "1,000"), (1_048_576.0, "1,048,576"), (0.25, "0.25")];
        for (number, text) in pairs {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(-1234.5), "-1,234.5");
    }

    #[test]
    fn marks_are_round_and_hold_everything() {
        assert_eq!(steps(4700.0), (0.0..5000.0, vec![0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]));
        assert_eq!(steps(0.0).1.last(), Some(&1.0));
        let (range, marks) = decades(30.0, 700.0);
        assert!((range.start - 10.0).abs() < 1e-9 && (range.end - 1000.0).abs() < 1e-9);
        assert_eq!(marks.len(), 7);
    }
}

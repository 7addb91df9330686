//! What a run carries: a request, points and a response of known sizes. Nothing in them compresses, so that no size is
//! measured that is not there.

use serde::{Deserialize, Serialize};
use workflow::RecoveryPoint;

/// The request's JSON, in bytes.
pub const REQUEST_BYTES: usize = 500;

/// The response's JSON, in bytes.
pub const ANSWER_BYTES: usize = 100;

/// The smallest point: its members and a number of ten digits.
pub const LEAST_POINT_BYTES: usize = 30;

/// The most points that a workflow here passes before it answers.
pub const MOST_POINTS: usize = 99;

/// Orders are numbered from here: ten digits each, so that all requests are of one size.
const FIRST_ORDER: u64 = 1_000_000_000;

/// A request of [`REQUEST_BYTES`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    order: u64,
    currency: String,
    lines: Vec<Line>,
    note: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    sku: String,
    count: u32,
    cents: i64,
}

impl RecoveryPoint for Request {
    const NAME: &'static str = workflow::STARTED;
}

impl Request {
    /// The request of the run of this number.
    pub fn new(run: u64) -> Self {
        let line = |n: i64| Line { sku: format!("SKU-{n:06}"), count: 2, cents: 1999 + n };
        let lines = (0..4).map(line).collect();
        let mut new =
            Self { order: FIRST_ORDER + run, currency: "EUR".to_owned(), lines, note: String::new() };
        let bare = serde_json::to_vec(&new).map_or(0, |json| json.len());
        new.note = noise(REQUEST_BYTES.saturating_sub(bare));
        new
    }

    /// The same for the run of another number.
    #[must_use]
    pub fn of(&self, run: u64) -> Self {
        Self { order: FIRST_ORDER + run, ..self.clone() }
    }
}

/// What every point of these workflows holds.
#[derive(Serialize, Deserialize)]
pub struct Body {
    /// The order's number.
    pub order: u64,
    /// The rest.
    pub data: String,
}

/// The point of this number, of 1 to [`MOST_POINTS`].
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point<const N: usize>(pub Body);

impl<const N: usize> RecoveryPoint for Point<N> {
    const NAME: &'static str = POINTS[N];
}

/// A point from which a step knows which order it is about.
pub trait Order: RecoveryPoint {
    /// Its number.
    fn order(&self) -> u64;
}

impl Order for Request {
    fn order(&self) -> u64 {
        self.order
    }
}

impl<const N: usize> Order for Point<N> {
    fn order(&self) -> u64 {
        self.0.order
    }
}

/// The text that makes a [`Body`] so many bytes of JSON.
pub fn filler(bytes: usize) -> String {
    noise(bytes.saturating_sub(LEAST_POINT_BYTES))
}

/// A [`Body`] of so many bytes, as JSON: what the floors store, who have no types.
///
/// # Errors
/// None that can be met: a number and a text are always JSON.
pub fn body(bytes: usize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body { order: FIRST_ORDER, data: filler(bytes) })
}

/// Letters and digits without a pattern, the same at every call (xorshift).
fn noise(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[usize::from((state >> 58) as u8)])
    };
    (0..bytes).map(letter).collect()
}

macro_rules! names {
    ($array:ident, $prefix:literal: $($n:literal)*) => {
        /// Stored names, by number.
        pub const $array: [&str; MOST_POINTS + 2] = [$(concat!($prefix, $n)),*];
    };
}

names! { POINTS, "point_":
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80
    81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100
}

names! { STEPS, "step_":
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80
    81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_the_size_that_it_says() {
        let request = Request::new(7);
        assert_eq!(serde_json::to_vec(&request).unwrap().len(), REQUEST_BYTES);
        assert_eq!(serde_json::to_vec(&request.of(123_456_789)).unwrap().len(), REQUEST_BYTES);
        for bytes in [LEAST_POINT_BYTES, 100, 1 << 20] {
            assert_eq!(body(bytes).unwrap().len(), bytes);
        }
    }
}

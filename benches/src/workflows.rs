//! The workflows that are measured. Their steps do as little as a step can, so that what is measured is the runner.

use std::sync::OnceLock;

use workflow::{Atomic, Foreign, Response, Step, Workflow};

use crate::orders::Orders;
use crate::payload::{ANSWER_BYTES, Body, Order, Point, Request, STEPS, filler};

/// What the steps are given: the texts that they put into their points.
pub struct App {
    point: String,
    answer: String,
}

impl App {
    /// Points of so many bytes.
    pub fn new(point_bytes: usize) -> Self {
        Self { point: filler(point_bytes), answer: filler(ANSWER_BYTES) }
    }

    fn point<const N: usize>(&self, order: u64) -> Point<N> {
        Point(Body { order, data: self.point.clone() })
    }

    fn answer(&self, order: u64) -> Step<Response> {
        Ok(Response::json(201, &Body { order, data: self.answer.clone() })?)
    }
}

/// How many steps [`foreign`] and [`atomic`] have. A workflow is named by a function, and a function that is asked
/// again
/// must say the same: a process measures one length.
static LENGTH: OnceLock<usize> = OnceLock::new();

/// The length that nobody has set.
pub const USUAL_LENGTH: usize = 5;

/// Sets the length of [`foreign`] and [`atomic`], 1 to 100, once in a process and before anything is run. Returns what
/// it is.
pub fn set_length(steps: usize) -> usize {
    *LENGTH.get_or_init(|| steps)
}

fn length() -> usize {
    set_length(USUAL_LENGTH)
}

#[expect(clippy::extra_unused_type_parameters, reason = "one macro writes the lines of both kinds")]
async fn go<C, At: Order, const N: usize>(cx: Foreign<'_, App, Request>, at: At) -> Step<Point<N>> {
    Ok(cx.app.point(at.order()))
}

#[expect(clippy::extra_unused_type_parameters, reason = "one macro writes the lines of both kinds")]
async fn end<C, At: Order>(cx: Foreign<'_, App, Request>, at: At) -> Step<Response> {
    cx.app.answer(at.order())
}

async fn write<C, At: Order, const N: usize>(cx: Atomic<'_, C, App, Request>, at: At) -> Step<Point<N>> {
    Ok(cx.app.point(at.order()))
}

async fn close<C, At: Order>(cx: Atomic<'_, C, App, Request>, at: At) -> Step<Response> {
    cx.app.answer(at.order())
}

async fn place<C: Orders, At: Order, const N: usize>(
    cx: Atomic<'_, C, App, Request>,
    at: At,
) -> Step<Point<N>> {
    let number = i64::try_from(at.order())?;
    cx.conn.place(number, &cx.app.answer).await?;
    Ok(cx.app.point(at.order()))
}

/// The lines of a workflow from its second step on. It ends where the length says; each point has a type of its own.
macro_rules! lines {
    ($at:ident, $length:ident, $kind:ident, $go:ident, $end:ident: $conn:ty; $($from:literal $to:literal,)*) => {
        $(
            if $length == $to {
                return $at.$kind(STEPS[$to], $end::<$conn, Point<$from>>).build();
            }
            let $at = $at.$kind(STEPS[$to], $go::<$conn, Point<$from>, $to>);
        )*
    };
}

macro_rules! hundred {
    ($at:ident, $length:ident, $kind:ident, $go:ident, $end:ident, $conn:ty) => {{
        if $length == 1 {
            return $at.$kind(STEPS[1], $end::<$conn, Request>).build();
        }
        let $at = $at.$kind(STEPS[1], $go::<$conn, Request, 1>);
        lines!($at, $length, $kind, $go, $end: $conn;
            1 2, 2 3, 3 4, 4 5, 5 6, 6 7, 7 8, 8 9, 9 10, 10 11, 11 12, 12 13, 13 14, 14 15, 15 16, 16 17, 17 18,
            18 19, 19 20, 20 21, 21 22, 22 23, 23 24, 24 25, 25 26, 26 27, 27 28, 28 29, 29 30, 30 31, 31 32, 32 33,
            33 34, 34 35, 35 36, 36 37, 37 38, 38 39, 39 40, 40 41, 41 42, 42 43, 43 44, 44 45, 45 46, 46 47, 47 48,
            48 49, 49 50, 50 51, 51 52, 52 53, 53 54, 54 55, 55 56, 56 57, 57 58, 58 59, 59 60, 60 61, 61 62, 62 63,
            63 64, 64 65, 65 66, 66 67, 67 68, 68 69, 69 70, 70 71, 71 72, 72 73, 73 74, 74 75, 75 76, 76 77, 77 78,
            78 79, 79 80, 80 81, 81 82, 82 83, 83 84, 84 85, 85 86, 86 87, 87 88, 88 89, 89 90, 90 91, 91 92, 92 93,
            93 94, 94 95, 95 96, 96 97, 97 98, 98 99,
        );
        $at.$kind(STEPS[100], $end::<$conn, Point<99>>).build()
    }};
}

/// Foreign steps that do nothing outside.
pub fn foreign<C: Send + 'static>() -> Workflow<C, App, Request> {
    let (at, length) = (Workflow::new("foreign"), length());
    hundred!(at, length, foreign, go, end, C)
}

/// The most steps that [`atomic`] has: each costs the compiler as much as one of [`foreign`], and shows nothing more.
pub const MOST_ATOMIC: usize = 10;

/// Atomic steps without SQL of their own.
pub fn atomic<C: Send + 'static>() -> Workflow<C, App, Request> {
    let (at, length) = (Workflow::new("atomic"), length());
    if length == 1 {
        return at.atomic(STEPS[1], close::<C, Request>).build();
    }
    let at = at.atomic(STEPS[1], write::<C, Request, 1>);
    lines!(at, length, atomic, write, close: C; 1 2, 2 3, 3 4, 4 5, 5 6, 6 7, 7 8, 8 9,);
    at.atomic(STEPS[MOST_ATOMIC], close::<C, Point<9>>).build()
}

/// Four steps: atomic with a row of the application's, foreign, atomic with a row, foreign.
pub fn checkout<C: Orders>() -> Workflow<C, App, Request> {
    Workflow::new("checkout")
        .atomic("create_order", place::<C, Request, 1>)
        .foreign("capture_payment", go::<C, Point<1>, 2>)
        .atomic("place_order", place::<C, Point<2>, 3>)
        .foreign("notify_warehouse", end::<C, Point<3>>)
        .build()
}

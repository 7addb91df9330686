//! Steps: how a plain `async fn` becomes a line of the workflow.
//!
//! Who writes a workflow never names anything of this file; it shows only in the compiler's messages. It works in
//! two stages, because rustc reports the message of a trait only where several candidates are left: [`AtomicStep`]
//! and [`ForeignStep`] ask for the shape of the function and carry the message; [`Erase`] then asks for `Send` and
//! for what is reached, with one candidate, so that rustc gives the precise reason.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::outcome::Reached;
use crate::{Atomic, Error, Foreign, Halt, Outcome, RecoveryPoint, Response};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an erased step reached nothing.
pub(crate) enum Stop {
    /// The step said so.
    Halt(Halt),
    /// The point's data does not fit the type that the step takes.
    Unreadable(serde_json::Error),
    /// What the step reached cannot be written as JSON.
    Unwritable(serde_json::Error),
    /// What the step reached cannot be sealed.
    Unsealed(Error),
}

type Erased<'c> = BoxFuture<'c, Result<Reached, Stop>>;
pub(crate) type AtomicRun<C, A, In> =
    Box<dyn for<'c> Fn(Atomic<'c, C, A, In>, &'c [u8]) -> Erased<'c> + Send + Sync>;
pub(crate) type ForeignRun<A, In> =
    Box<dyn for<'c> Fn(Foreign<'c, A, In>, &'c [u8]) -> Erased<'c> + Send + Sync>;

/// A step with the types of its points forgotten.
pub(crate) enum Run<C, A, In> {
    Atomic(AtomicRun<C, A, In>),
    Foreign(ForeignRun<A, In>),
}

/// An erased step, in the hands of the builder. The names of its point come with it, so that only [`Erase`], the
/// second stage, has to ask for a [`RecoveryPoint`].
pub struct ErasedStep<C, A, In> {
    pub(crate) from: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) run: Run<C, A, In>,
}

impl<C, A, In> ErasedStep<C, A, In> {
    fn from<At: RecoveryPoint>(run: Run<C, A, In>) -> Self {
        Self { from: At::NAME, aliases: At::ALIASES, run }
    }
}

/// Implemented for every `async fn(Cx, I) -> Result<O, E>` whose future is `Send`.
pub trait StepFn<'c, Cx: 'c, I>: Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'c;
    /// Calls it.
    fn call(&self, cx: Cx, input: I) -> Self::Future;
}

impl<'c, F, Fut, Cx: 'c, I> StepFn<'c, Cx, I> for F
where
    F: Fn(Cx, I) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'c,
{
    type Output = Fut::Output;
    type Future = Fut;

    fn call(&self, cx: Cx, input: I) -> Fut {
        self(cx, input)
    }
}

/// The shape of a step, `Send` or not.
pub trait Shape<'c, Cx: 'c, I> {
    /// What it returns.
    type Output;
}

impl<'c, F, Fut, Cx: 'c, I> Shape<'c, Cx, I> for F
where
    F: Fn(Cx, I) -> Fut,
    Fut: Future + 'c,
{
    type Output = Fut::Output;
}

/// The kind of a step that takes [`Atomic`].
pub struct AtomicKind<To, E>(PhantomData<(To, E)>);
/// The kind of a step that takes [`Foreign`].
pub struct ForeignKind<To, E>(PhantomData<(To, E)>);
/// The second candidate, which nothing fits: see the top of the file.
pub struct Neither;
trait Impossible {}

/// An atomic step from the recovery point `At`.
#[diagnostic::on_unimplemented(
    message = "this is not an atomic step from recovery point `{At}`",
    label = "expected `async fn(Atomic<'_, {C}, {A}, {In}>, {At}) -> Step<…>`",
    note = "an atomic step takes `Atomic` (a foreign one goes to `.foreign`) and the point that the line above reaches",
    note = "it returns `Step<…>` or another `Result`: a recovery point or a `Response`, or why it reached none"
)]
pub trait AtomicStep<C, A, In, At, Kind> {
    /// What it reaches.
    type To;
}

impl<C: 'static, A: 'static, In: 'static, At, To, E, F> AtomicStep<C, A, In, At, AtomicKind<To, E>> for F
where
    for<'c> F: Shape<'c, Atomic<'c, C, A, In>, At, Output = Result<To, E>>,
{
    type To = To;
}

impl<C, A, In, At, F: Impossible> AtomicStep<C, A, In, At, Neither> for F {
    type To = Response;
}

/// A foreign step from the recovery point `At`.
#[diagnostic::on_unimplemented(
    message = "this is not a foreign step from recovery point `{At}`",
    label = "expected `async fn(Foreign<'_, {A}, {In}>, {At}) -> Step<…>`",
    note = "a foreign step takes `Foreign`, never the transaction (an atomic one goes to `.atomic`), and the point that the line above reaches",
    note = "it returns `Step<…>` or another `Result`: a recovery point or a `Response`, or why it reached none"
)]
pub trait ForeignStep<A, In, At, Kind> {
    /// What it reaches.
    type To;
}

impl<A: 'static, In: 'static, At, To, E, F> ForeignStep<A, In, At, ForeignKind<To, E>> for F
where
    for<'c> F: Shape<'c, Foreign<'c, A, In>, At, Output = Result<To, E>>,
{
    type To = To;
}

impl<A, In, At, F: Impossible> ForeignStep<A, In, At, Neither> for F {
    type To = Response;
}

/// What takes back a step that has reached `At`: a function that returns nothing, atomic or foreign.
#[diagnostic::on_unimplemented(
    message = "this is no undo of a step that reaches recovery point `{At}`",
    label = "expected `async fn(Atomic<'_, {C}, {A}, {In}>, {At}) -> Step<()>`, or the same with `Foreign<'_, {A}, {In}>`",
    note = "an undo takes the point that its step has reached, and returns `Step<()>` or another `Result` of `()`"
)]
pub trait UndoStep<C, A, In, At, Kind> {}

impl<C: 'static, A: 'static, In: 'static, At, E, F> UndoStep<C, A, In, At, AtomicKind<(), E>> for F where
    for<'c> F: Shape<'c, Atomic<'c, C, A, In>, At, Output = Result<(), E>>
{
}

impl<C, A: 'static, In: 'static, At, E, F> UndoStep<C, A, In, At, ForeignKind<(), E>> for F where
    for<'c> F: Shape<'c, Foreign<'c, A, In>, At, Output = Result<(), E>>
{
}

/// What can be undone: a recovery point. What answered cannot.
#[diagnostic::on_unimplemented(
    message = "a step that reaches `{Self}` cannot have an undo",
    label = "nothing comes after this step that could fail",
    note = "an undo belongs to a step that reaches a recovery point"
)]
pub trait Undoable {}

impl<P: RecoveryPoint> Undoable for P {}

/// The end of a workflow: a [`Response`] and nothing else.
#[diagnostic::on_unimplemented(
    message = "this workflow never answers: its last step reaches `{Self}`",
    label = "no step goes on from `{Self}`",
    note = "a workflow is built when its last step reaches a `Response`"
)]
pub trait End {}

impl End for Response {}

/// Forgets the types of a step's points.
pub trait Erase<F, C, A, In, At> {
    /// The step without its types.
    fn erase(step: F) -> ErasedStep<C, A, In>;
}

impl<F, C, A, In, At, To, E> Erase<F, C, A, In, At> for AtomicKind<To, E>
where
    for<'c> F: StepFn<'c, Atomic<'c, C, A, In>, At, Output = Result<To, E>>,
    C: Send + 'static,
    A: Sync + 'static,
    In: Sync + 'static,
    At: RecoveryPoint,
    To: Outcome,
    E: Into<Halt> + Send + 'static,
{
    fn erase(step: F) -> ErasedStep<C, A, In> {
        let step = Arc::new(step);
        ErasedStep::from::<At>(Run::Atomic(Box::new(move |cx, data| {
            let step = step.clone();
            Box::pin(async move {
                let at = serde_json::from_slice::<At>(data).map_err(Stop::Unreadable)?;
                stored(step.call(cx, at).await)
            })
        })))
    }
}

impl<F, C, A, In, At, To, E> Erase<F, C, A, In, At> for ForeignKind<To, E>
where
    for<'c> F: StepFn<'c, Foreign<'c, A, In>, At, Output = Result<To, E>>,
    C: Send + 'static,
    A: Sync + 'static,
    In: Sync + 'static,
    At: RecoveryPoint,
    To: Outcome,
    E: Into<Halt> + Send + 'static,
{
    fn erase(step: F) -> ErasedStep<C, A, In> {
        let step = Arc::new(step);
        ErasedStep::from::<At>(Run::Foreign(Box::new(move |cx, data| {
            let step = step.clone();
            Box::pin(async move {
                let at = serde_json::from_slice::<At>(data).map_err(Stop::Unreadable)?;
                stored(step.call(cx, at).await)
            })
        })))
    }
}

/// An erased undo, in the hands of the builder.
pub struct ErasedUndo<C, A, In>(pub(crate) Run<C, A, In>);

/// Forgets the types of an undo's point.
pub trait EraseUndo<F, C, A, In, At> {
    /// The undo without its types.
    fn erase(undo: F) -> ErasedUndo<C, A, In>;
}

impl<F, C, A, In, At, E> EraseUndo<F, C, A, In, At> for AtomicKind<(), E>
where
    for<'c> F: StepFn<'c, Atomic<'c, C, A, In>, At, Output = Result<(), E>>,
    C: Send + 'static,
    A: Sync + 'static,
    In: Sync + 'static,
    At: RecoveryPoint,
    E: Into<Halt> + Send + 'static,
{
    fn erase(undo: F) -> ErasedUndo<C, A, In> {
        let undo = Arc::new(undo);
        ErasedUndo(Run::Atomic(Box::new(move |cx, data| {
            let undo = undo.clone();
            Box::pin(async move {
                let at = serde_json::from_slice::<At>(data).map_err(Stop::Unreadable)?;
                undone(undo.call(cx, at).await)
            })
        })))
    }
}

impl<F, C, A, In, At, E> EraseUndo<F, C, A, In, At> for ForeignKind<(), E>
where
    for<'c> F: StepFn<'c, Foreign<'c, A, In>, At, Output = Result<(), E>>,
    C: Send + 'static,
    A: Sync + 'static,
    In: Sync + 'static,
    At: RecoveryPoint,
    E: Into<Halt> + Send + 'static,
{
    fn erase(undo: F) -> ErasedUndo<C, A, In> {
        let undo = Arc::new(undo);
        ErasedUndo(Run::Foreign(Box::new(move |cx, data| {
            let undo = undo.clone();
            Box::pin(async move {
                let at = serde_json::from_slice::<At>(data).map_err(Stop::Unreadable)?;
                undone(undo.call(cx, at).await)
            })
        })))
    }
}

/// What an undo reaches has neither a type nor data: its name is made of its step's.
fn undone<E: Into<Halt>>(out: Result<(), E>) -> Result<Reached, Stop> {
    out.map_err(|e| Stop::Halt(e.into()))?;
    Ok(Reached::Point { name: "", data: Vec::new() })
}

fn stored<To: Outcome, E: Into<Halt>>(out: Result<To, E>) -> Result<Reached, Stop> {
    out.map_err(|e| Stop::Halt(e.into()))?.reached().map_err(Stop::Unwritable)
}

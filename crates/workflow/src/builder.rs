//! The builder: one line a step, and each line checked against the one above.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::retry::{Policy, Retry, Verdict};
use crate::step::{AtomicStep, End, Erase, EraseUndo, ErasedStep, ForeignStep, UndoStep, Undoable};
use crate::workflow::{StepEntry, Table, Undo, Workflow};
use crate::{BoxError, Outcome, RecoveryPoint, Response};

/// What the last line of a workflow was: it decides which modifiers exist.
pub mod last {
    /// No line yet.
    pub struct Nothing;
    /// An atomic step.
    pub struct Atomic;
    /// A foreign step.
    pub struct Foreign;

    /// The undo of a step.
    pub struct Undo;

    /// A line that is a step.
    pub trait Step {}
    impl Step for Atomic {}
    impl Step for Foreign {}
}

/// A workflow that is being written: it stands at the recovery point `At`.
///
/// [`build`](Builder::build) takes only a builder that stands at a [`Response`](crate::Response). The order of the
/// steps and the data that they
/// hand on are checked by the compiler; names are checked when the runner is built.
pub struct Builder<C, A, In, At, Last = last::Nothing> {
    table: Table<C, A, In>,
    at: PhantomData<fn() -> (At, Last)>,
}

impl<C, A, In, At, L> fmt::Debug for Builder<C, A, In, At, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({}, {} steps)", self.table.name, self.table.steps.len())
    }
}

impl<C, A, In: RecoveryPoint> Workflow<C, A, In> {
    /// Begins a workflow. Its name is stored with every key: 1 to 100 characters of `a`–`z`, `0`–`9` and `_`.
    #[expect(clippy::new_ret_no_self, reason = "a workflow exists only when its chain ends in a response")]
    pub fn new(name: &'static str) -> Builder<C, A, In, In> {
        let cancelled = Response::new(409, serde_json::json!({ "error": "cancelled" }));
        let table = Table { name, version: 1, time_limit: None, cancelled, steps: Vec::new() };
        Builder { table, at: PhantomData }
    }
}

// `At` has no bound here: the steps' own traits have it, and say what is wrong with a step; a bound here would make
// the compiler say that there is no such method.
impl<C, A, In, At, L> Builder<C, A, In, At, L>
where
    C: Send + 'static,
    A: Send + Sync + 'static,
    In: RecoveryPoint,
{
    /// An **atomic** step from here: its writes and the point that it reaches are one transaction.
    ///
    /// A function or an `async` closure; a plain closure that returns an `async` block does not borrow its context.
    pub fn atomic<F, K>(self, name: &'static str, step: F) -> Builder<C, A, In, F::To, last::Atomic>
    where
        F: AtomicStep<C, A, In, At, K, To: Outcome>,
        K: Erase<F, C, A, In, At>,
    {
        self.line(name, <F::To as Outcome>::points(), K::erase(step))
    }

    /// A **foreign** step from here: it changes something outside the database, with no connection held.
    ///
    /// It is repeated with the same effect key until its point is committed.
    pub fn foreign<F, K>(self, name: &'static str, step: F) -> Builder<C, A, In, F::To, last::Foreign>
    where
        F: ForeignStep<A, In, At, K, To: Outcome>,
        K: Erase<F, C, A, In, At>,
    {
        self.line(name, <F::To as Outcome>::points(), K::erase(step))
    }

    fn line<To, L2>(
        mut self,
        name: &'static str,
        reaches: Vec<&'static str>,
        step: ErasedStep<C, A, In>,
    ) -> Builder<C, A, In, To, L2> {
        self.table.steps.push(StepEntry {
            name,
            effect_name: name,
            from: step.from,
            aliases: step.aliases,
            reaches,
            checkpoint: false,
            point_of_no_return: false,
            policy: Policy::default(),
            undo: None,
            run: step.run,
        });
        Builder { table: self.table, at: PhantomData }
    }
}

impl<C, A, In, At> Builder<C, A, In, At, last::Foreign> {
    /// The name under which this step's effect key is made, where it is not the step's own: a step that is renamed
    /// keeps its old name here, so that a call under way keeps its key.
    #[must_use]
    pub fn effect_name(self, name: &'static str) -> Self {
        self.last(|step| step.effect_name = name)
    }
}

impl<C, A, In, At, L: last::Step> Builder<C, A, In, At, L> {
    /// Gives this step a commit of its own, shared with no other step: its point is committed before the next step
    /// begins, and it begins after the commit of the one before.
    ///
    /// Without it, consecutive atomic steps share one transaction, together with the point of the foreign step before
    /// them. A crash in the middle of it repeats them all: the atomic ones as if they had never run, the foreign one
    /// with its effect key. Ask for a commit where repeating the call costs more than a commit does, or where the
    /// steps after it take long.
    ///
    /// ```
    /// # use workflow::{Atomic, Foreign, RecoveryPoint, Response, Step, Workflow};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Cart;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Paid;
    /// # impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
    /// # impl RecoveryPoint for Paid { const NAME: &'static str = "paid"; }
    /// # async fn pay(_: Foreign<'_, (), Cart>, _: Cart) -> Step<Paid> { Ok(Paid) }
    /// # async fn answer(_: Atomic<'_, (), (), Cart>, _: Paid) -> Step<Response> { Ok(Response::empty(204)) }
    /// let checkout: Workflow<(), (), Cart> = Workflow::new("checkout")
    ///     .foreign("pay", pay)
    ///     .checkpoint()
    ///     .atomic("answer", answer)
    ///     .build();
    /// # assert_eq!(checkout.steps().count(), 2);
    /// ```
    #[must_use]
    pub fn checkpoint(self) -> Self {
        self.last(|step| step.checkpoint = true)
    }

    /// From here on a cancel answers too late: as soon as this step may have happened. For an atomic step that is its
    /// commit; for a foreign one it is the point from which it starts, since a call may be under way.
    ///
    /// Without it, a key can be cancelled until its response is stored. A last step that is foreign is always one: what it
    /// does, no undo takes back.
    ///
    /// ```
    /// # use workflow::{Atomic, Foreign, RecoveryPoint, Response, Step, Workflow};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Cart;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Placed;
    /// # impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
    /// # impl RecoveryPoint for Placed { const NAME: &'static str = "placed"; }
    /// # async fn place(_: Atomic<'_, (), (), Cart>, _: Cart) -> Step<Placed> { Ok(Placed) }
    /// # async fn answer(_: Atomic<'_, (), (), Cart>, _: Placed) -> Step<Response> { Ok(Response::empty(204)) }
    /// let checkout: Workflow<(), (), Cart> = Workflow::new("checkout")
    ///     .atomic("place", place)
    ///     .point_of_no_return()
    ///     .atomic("answer", answer)
    ///     .build();
    /// # checkout.verify().unwrap();
    /// ```
    #[must_use]
    pub fn point_of_no_return(self) -> Self {
        self.last(|step| step.point_of_no_return = true)
    }

    /// Tries this step again after an error that is not final. Without it, an error ends the run: the key stays at its
    /// point, free for whoever asks next.
    ///
    /// Each further attempt is counted by a commit before it begins, together with the error of the one before. A short
    /// pause is waited for in place while the lease is kept; for a longer one ([`Retry::in_place`]) the key is `waiting`.
    ///
    /// When no attempt is left, the key is parked as `needs_attention`, or answered as [`exhausted`](Self::exhausted) says.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        self.last(|step| step.policy.retry = Some(retry))
    }

    /// What an error of this step means, for errors that do not say it themselves by a [`Response`](crate::Response) or an
    /// [`InDoubt`](crate::InDoubt) among their sources.
    ///
    /// ```
    /// # use workflow::{Foreign, RecoveryPoint, Response, Retry, Step, Verdict, Workflow};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Cart;
    /// # impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
    /// # async fn pay(_: Foreign<'_, (), Cart>, _: Cart) -> Step<Response> { Ok(Response::empty(204)) }
    /// let checkout: Workflow<(), (), Cart> = Workflow::new("checkout")
    ///     .foreign("pay", pay)
    ///     .retry(Retry::times(5))
    ///     .judge(|error| match error.downcast_ref::<std::io::Error>() {
    ///         Some(hung_up) if hung_up.kind() != std::io::ErrorKind::ConnectionRefused => Verdict::InDoubt,
    ///         _ => Verdict::Retry,
    ///     })
    ///     .build();
    /// # assert_eq!(checkout.steps().count(), 1);
    /// ```
    #[must_use]
    pub fn judge(self, judge: impl Fn(&BoxError) -> Verdict + Send + Sync + 'static) -> Self {
        self.last(|step| step.policy.judge = Some(Box::new(judge)))
    }

    /// The final answer when no attempt of this step is left, made of the last error. A foreign step of which nobody knows
    /// whether it has happened is never answered so: its key is parked as `needs_attention`.
    #[must_use]
    pub fn exhausted(self, answer: impl Fn(&BoxError) -> Response + Send + Sync + 'static) -> Self {
        self.last(|step| step.policy.exhausted = Some(Box::new(answer)))
    }

    /// How long one attempt may take. After that its future is dropped; a foreign attempt is in doubt then, and of an
    /// atomic one nothing has happened.
    #[must_use]
    pub fn timeout(self, of_one_attempt: Duration) -> Self {
        self.last(|step| step.policy.timeout = Some(of_one_attempt))
    }

    /// How long all attempts of this step may take together, from the first one on, pauses and crashes included. After
    /// that no attempt is left.
    #[must_use]
    pub fn time_limit(self, over_all_attempts: Duration) -> Self {
        self.last(|step| step.policy.time_limit = Some(over_all_attempts))
    }
}

impl<C, A, In, At, L: last::Step> Builder<C, A, In, At, L>
where
    C: Send + 'static,
    A: Send + Sync + 'static,
    In: RecoveryPoint,
{
    /// How what this step has reached is taken back: an atomic or a foreign function of the point that it reached.
    ///
    /// When a later step answers finally (`Err(Response)`, or no attempt is left and it declares an answer), the undos of
    /// the steps that the key has reached run in reverse order, and the answer is stored after the last. Each is a recovery
    /// point of its own, `step.undone`, resumed by anybody after a crash, and tried again as
    /// [`Retry::default`] says until it succeeds; consecutive atomic ones share a commit. A foreign undo has an effect key
    /// of its own. An undo that does not succeed parks the key as `needs_attention`. The idea is Garcia-Molina's saga.
    ///
    /// ```
    /// # use workflow::{Atomic, Foreign, RecoveryPoint, Response, Step, Workflow};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Cart;
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Reserved;
    /// # impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
    /// # impl RecoveryPoint for Reserved { const NAME: &'static str = "reserved"; }
    /// # async fn reserve(_: Atomic<'_, (), (), Cart>, _: Cart) -> Step<Reserved> { Ok(Reserved) }
    /// # async fn release(_: Atomic<'_, (), (), Cart>, _: Reserved) -> Step<()> { Ok(()) }
    /// # async fn pay(_: Foreign<'_, (), Cart>, _: Reserved) -> Step<Response> { Ok(Response::empty(204)) }
    /// let checkout: Workflow<(), (), Cart> = Workflow::new("checkout")
    ///     .atomic("reserve", reserve)
    ///     .undo(release)
    ///     .foreign("pay", pay)
    ///     .build();
    /// # assert_eq!(checkout.steps().count(), 2);
    /// ```
    #[must_use]
    pub fn undo<F, K>(self, undo: F) -> Builder<C, A, In, At, last::Undo>
    where
        At: Undoable,
        F: UndoStep<C, A, In, At, K>,
        K: EraseUndo<F, C, A, In, At>,
    {
        let run = K::erase(undo).0;
        let policy = Policy { retry: Some(Retry::default()), ..Policy::default() };
        let undoes = self.last(|step| {
            let (name, point) = (format!("{}.undo", step.name), format!("{}.undone", step.name));
            step.undo = Some(Undo { name, point, policy, run });
        });
        Builder { table: undoes.table, at: PhantomData }
    }
}

impl<C, A, In, At> Builder<C, A, In, At, last::Undo> {
    /// Tries this undo again after an error. [`Retry::default`] if it is not given. When no attempt is left, the key is
    /// parked as `needs_attention`.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        self.undo_policy(|policy| policy.retry = Some(retry))
    }

    /// How long one attempt of this undo may take.
    #[must_use]
    pub fn timeout(self, of_one_attempt: Duration) -> Self {
        self.undo_policy(|policy| policy.timeout = Some(of_one_attempt))
    }

    fn undo_policy(self, change: impl FnOnce(&mut Policy)) -> Self {
        self.last(|step| {
            if let Some(undo) = &mut step.undo {
                change(&mut undo.policy);
            }
        })
    }
}

impl<C, A, In, At, L> Builder<C, A, In, At, L> {
    fn last(mut self, change: impl FnOnce(&mut StepEntry<C, A, In>)) -> Self {
        if let Some(step) = self.table.steps.last_mut() {
            change(step);
        }
        self
    }
}

impl<C, A, In, At> Builder<C, A, In, At> {
    /// The workflow's version, stored with every key for those who look; 1 if it is not given.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.table.version = version;
        self
    }

    /// What a key answers that was cancelled, where the caller of [`Runner::cancel`](crate::Runner::cancel) does not say;
    /// 409 with `{"error":"cancelled"}` if it is not given.
    #[must_use]
    pub fn cancelled(mut self, answer: Response) -> Self {
        self.table.cancelled = answer;
        self
    }

    /// How long a key may take from its first claim on. After that no attempt of the step at which it stands is left. It
    /// is kept between the attempts and by the runs: a key that nobody runs is not looked at.
    #[must_use]
    pub fn run_limit(mut self, from_the_first_claim: Duration) -> Self {
        self.table.time_limit = Some(from_the_first_claim);
        self
    }
}

impl<C, A, In: RecoveryPoint, At, L> Builder<C, A, In, At, L> {
    /// The workflow. It exists only when the last step reaches a [`Response`](crate::Response).
    pub fn build(self) -> Workflow<C, A, In>
    where
        At: End,
    {
        Workflow::of(self.table)
    }
}

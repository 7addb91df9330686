//! The builder: one line a step, and each line checked against the one above.

use std::fmt;
use std::marker::PhantomData;

use crate::step::{AtomicStep, End, Erase, ErasedStep, ForeignStep};
use crate::workflow::{StepEntry, Workflow};
use crate::{Outcome, RecoveryPoint};

/// What the last line of a workflow was: it decides which modifiers exist.
pub mod last {
    /// No line yet.
    pub struct Nothing;
    /// An atomic step.
    pub struct Atomic;
    /// A foreign step.
    pub struct Foreign;

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
    name: &'static str,
    version: u32,
    steps: Vec<StepEntry<C, A, In>>,
    at: PhantomData<fn() -> (At, Last)>,
}

impl<C, A, In, At, L> fmt::Debug for Builder<C, A, In, At, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({}, {} steps)", self.name, self.steps.len())
    }
}

impl<C, A, In: RecoveryPoint> Workflow<C, A, In> {
    /// Begins a workflow. Its name is stored with every key: 1 to 100 characters of `a`–`z`, `0`–`9` and `_`.
    #[expect(clippy::new_ret_no_self, reason = "a workflow exists only when its chain ends in a response")]
    pub fn new(name: &'static str) -> Builder<C, A, In, In> {
        Builder { name, version: 1, steps: Vec::new(), at: PhantomData }
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
        self.steps.push(StepEntry {
            name,
            effect_name: name,
            from: step.from,
            aliases: step.aliases,
            reaches,
            checkpoint: false,
            run: step.run,
        });
        Builder { name: self.name, version: self.version, steps: self.steps, at: PhantomData }
    }
}

impl<C, A, In, At> Builder<C, A, In, At, last::Foreign> {
    /// The name under which this step's effect key is made, where it is not the step's own: a step that is renamed
    /// keeps its old name here, so that a call under way keeps its key.
    #[must_use]
    pub fn effect_name(mut self, name: &'static str) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.effect_name = name;
        }
        self
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
    pub fn checkpoint(mut self) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.checkpoint = true;
        }
        self
    }
}

impl<C, A, In, At> Builder<C, A, In, At> {
    /// The workflow's version, stored with every key for those who look; 1 if it is not given.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

impl<C, A, In: RecoveryPoint, At, L> Builder<C, A, In, At, L> {
    /// The workflow. It exists only when the last step reaches a [`Response`](crate::Response).
    pub fn build(self) -> Workflow<C, A, In>
    where
        At: End,
    {
        Workflow::of(self.name, self.version, self.steps)
    }
}

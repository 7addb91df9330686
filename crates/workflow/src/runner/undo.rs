//! Undo: what the steps of a key that was turned round have done is taken back, in reverse order, and the answer is
//! stored after the last.
//!
//! What if the process dies here? The key is `undoing`, with the answer, and whoever claims it goes on with the undos
//! whose points are not there. In an undo: as in a step. An atomic one has never happened, a foreign one is repeated with its effect key.

use std::collections::HashSet;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::advance::{Advance, StoredResponse, To};
use crate::context::{Atomic, Attempt, Foreign};
use crate::outbox::{Outbox, StagedJob};
use crate::outcome::Reached;
use crate::point::FINISHED;
use crate::record::ReachedPoint;
use crate::step::{AtomicRun, BoxFuture, ForeignRun, Run, Stop};
use crate::workflow::{StepEntry, Table, Undo};
use crate::{Error, Meaning, RecoveryPoint, Response, Store, digest};

use super::again::Act;
use super::course::is_undone_from;
use super::patience::Backoff;
use super::persist::described;
use super::reach::{Reach, Stepped};
use super::run::RunOf;
use super::seal::Sealer;

/// A step whose undo has not succeeded yet.
struct Due<'t, C, A, In> {
    entry: &'t StepEntry<C, A, In>,
    undo: &'t Undo<C, A, In>,
    /// Of the point that the step has reached, opened.
    data: Vec<u8>,
}

/// All undos that are due, the next one first, and what is stored then.
struct Rest<'t, C, A, In> {
    due: Vec<Due<'t, C, A, In>>,
    /// The step at which the key was turned round.
    by: String,
    sealed: StoredResponse,
}

impl<S: Store, A: Send + Sync + 'static, In: RecoveryPoint> RunOf<S, A, In> {
    /// Undoes what is left to undo, and stores the answer. Boxed, since what it takes back may fail like a step.
    pub(super) fn undo<'r>(
        &'r mut self,
        table: &'r Table<S::Conn, A, In>,
        answer: Response,
    ) -> BoxFuture<'r, Result<Stepped, Error>> {
        Box::pin(async move {
            let mut rest = self.rest(table, &answer).await?;
            loop {
                if !self.held.holds() {
                    return Err(self.lost());
                }
                self.goes_on()?;
                let (done, finished) = self.undo_next(&rest).await?;
                rest.due.drain(..done);
                if finished {
                    return Ok(Stepped { step: None, reach: Reach::Response(answer), jobs: Vec::new() });
                }
            }
        })
    }

    /// What the key has reached and is not undone yet.
    async fn rest<'t>(
        &self,
        table: &'t Table<S::Conn, A, In>,
        answer: &Response,
    ) -> Result<Rest<'t, S::Conn, A, In>, Error> {
        let id = self.held.lease().id;
        let points = self.limit().patiently(|| self.inner.store.points(id)).await?;
        let names: HashSet<&str> = points.iter().map(|point| &*point.name).collect();
        let turned = points.iter().find(|point| is_undone_from(&point.name));
        let by = turned.map(|point| point.step.clone()).unwrap_or_default();
        let mut due = Vec::new();
        for point in points.iter().rev().filter(|point| !is_undone_from(&point.name)) {
            let Some(entry) = table.steps.iter().find(|entry| entry.name == point.step) else {
                let (key, workflow) = (self.key.clone(), table.name.to_owned());
                return Err(Error::UnknownPoint { key, workflow, point: point.name.clone() });
            };
            if let Some(undo) = entry.undo.as_ref().filter(|undo| !names.contains(&*undo.point)) {
                due.push(Due { entry, undo, data: self.opened(point)? });
            }
        }
        Ok(Rest { due, by, sealed: self.sealed(answer)? })
    }

    /// The next undo, or the next atomic ones in one transaction. How many succeeded, and whether that was all.
    async fn undo_next(&mut self, rest: &Rest<'_, S::Conn, A, In>) -> Result<(usize, bool), Error> {
        let Some(next) = rest.due.first() else {
            let tx = self.limit().patiently(|| self.inner.store.begin()).await?;
            return self.commit_undone(tx, rest, 0, Vec::new()).await;
        };
        if let Run::Foreign(run) = &next.undo.run {
            return match self.call_undo(next, run).await {
                Ok(_) => {
                    let tx = self.limit().patiently(|| self.inner.store.begin()).await?;
                    self.commit_undone(tx, rest, 1, Vec::new()).await
                }
                Err(stop) => self.undo_failed(next, stop).await,
            };
        }
        let most = if self.seq < self.singly_to { 1 } else { rest.due.len() };
        let mut tx = self.limit().patiently(|| self.inner.store.begin()).await?;
        let (mut done, mut jobs) = (0, Vec::new());
        for due in &rest.due[..most] {
            let Run::Atomic(run) = &due.undo.run else { break };
            match self.undo_within(&mut tx, due, run, done).await {
                Ok(staged) => jobs.extend(staged),
                Err(stop) => {
                    self.rollback(tx).await;
                    if done == 0 {
                        return self.undo_failed(due, stop).await;
                    }
                    // What the others did is rolled back with it: each by itself now.
                    self.singly_to = self.after(done) + 1;
                    return Ok((0, false));
                }
            }
            done += 1;
        }
        self.commit_undone(tx, rest, done, jobs).await
    }

    async fn call_undo(
        &self,
        due: &Due<'_, S::Conn, A, In>,
        run: &ForeignRun<A, In>,
    ) -> Result<Reached, Stop> {
        let attempt = self.undo_attempt(due, self.attempts);
        let deadline = attempt.deadline;
        let context = Foreign::of(&*self.inner.app, &self.key, &self.request, attempt);
        let undo = run(context, &due.data);
        self.attempted(due.entry, true, self.attempts, deadline, undo).await
    }

    async fn undo_within(
        &self,
        tx: &mut S::Tx,
        due: &Due<'_, S::Conn, A, In>,
        run: &AtomicRun<S::Conn, A, In>,
        before: usize,
    ) -> Result<Vec<StagedJob>, Stop> {
        let attempts = if before == 0 { self.attempts } else { 1 };
        let outbox = Outbox::default();
        let attempt = self.undo_attempt(due, attempts);
        let deadline = attempt.deadline;
        let context = Atomic::of(&mut **tx, &*self.inner.app, &self.key, &self.request, &outbox, attempt);
        let undo = run(context, &due.data);
        self.attempted(due.entry, false, attempts, deadline, undo).await?;
        Ok(outbox.take())
    }

    fn undo_attempt(&self, due: &Due<'_, S::Conn, A, In>, number: i32) -> Attempt {
        Attempt {
            step: due.entry.name,
            number: u32::try_from(number).unwrap_or(1),
            fence: self.held.lease().fence,
            // No effect name of the user's has a dot.
            effect_key: digest::effect_key(&self.seed, &format!("{}.undo", due.entry.effect_name)),
            deadline: self.deadline(Act::undo(due.undo)),
            signals: self.held.signals().clone(),
            forward: false,
        }
    }

    /// An undo that reached nothing is tried again, put off or parked. It has no answer to give.
    async fn undo_failed(
        &mut self,
        due: &Due<'_, S::Conn, A, In>,
        stop: Stop,
    ) -> Result<(usize, bool), Error> {
        let (key, point, step) = (self.key.clone(), self.at.clone(), due.entry.name);
        let (in_doubt, source) = match stop {
            Stop::Unreadable(source) | Stop::Unwritable(source) => {
                return Err(Error::Data { key, point, source: source.into() });
            }
            Stop::Unsealed(error) => return Err(error),
            Stop::Halt(halt) => match halt.into_meaning() {
                Meaning::Answer(response) => (false, response.into()),
                Meaning::InDoubt(source) => (true, source),
                Meaning::Retry(source) => (false, source),
            },
        };
        let failed = Error::Step { key, step, point, in_doubt, source };
        self.again(Act::undo(due.undo), failed).await.map(|_| (0, false))
    }

    /// Commits the next `done` undos, and the answer if they are all.
    async fn commit_undone(
        &mut self,
        tx: S::Tx,
        rest: &Rest<'_, S::Conn, A, In>,
        done: usize,
        jobs: Vec<StagedJob>,
    ) -> Result<(usize, bool), Error> {
        let finished = done == rest.due.len();
        let walk = self.undo_walk(rest, done);
        let last = walk.last().map_or(FINISHED, Advance::name).to_owned();
        let sent = Instant::now();
        // Of the step or of its undo: either has used an effect key that must not be used again.
        let foreign = |due: &Due<'_, S::Conn, A, In>| {
            matches!(due.entry.run, Run::Foreign(_)) || matches!(due.undo.run, Run::Foreign(_))
        };
        let buried = rest.due[..done].iter().any(foreign).then_some(&self.key);
        let failed = match self.committed(tx, &walk, &jobs, buried).await? {
            Ok(at) => {
                self.stands(last, walk.len(), at, sent);
                return Ok((done, finished));
            }
            Err(failed) => failed,
        };
        drop(walk);
        // Nothing of it has happened: it runs again, as a further attempt.
        let why = described(&failed);
        Backoff::until(self.held.until()).after(failed).await?;
        if let Some(next) = rest.due.first() {
            self.fail(self.failure(Act::undo(next.undo), &why, false), self.next_attempt()).await?;
        }
        Ok((0, false))
    }

    fn undo_walk<'a>(&'a self, rest: &'a Rest<'_, S::Conn, A, In>, done: usize) -> Vec<Advance<'a>> {
        let mut walk: Vec<Advance<'a>> = Vec::new();
        let mut push = |step: &'a str, to: To<'a>| {
            let first = walk.is_empty();
            let prev = match walk.last().map(|last| last.to) {
                Some(To::Point { name, .. }) => name,
                _ => &self.at,
            };
            walk.push(Advance {
                prev,
                step,
                seq: self.after(walk.len()) + 1,
                attempts: if first { self.attempts } else { 1 },
                first_attempt_at: first.then_some(self.first_attempt_at),
                to,
                lease: self.inner.settings.lease,
            });
        };
        for due in &rest.due[..done] {
            push(&due.undo.name, To::Point { name: &due.undo.point, data: &[] });
        }
        if done == rest.due.len() {
            let retention = self.inner.settings.retention;
            push(&rest.by, To::Finished { response: &rest.sealed, retention });
        }
        walk
    }

    /// The number of the point that comes after so many.
    fn after(&self, points: usize) -> i32 {
        self.seq.saturating_add(i32::try_from(points).unwrap_or(i32::MAX))
    }

    /// The key stands at this point now, so many further.
    pub(super) fn stands(&mut self, point: String, points: usize, at: DateTime<Utc>, sent: Instant) {
        self.held.extended(sent);
        self.seq = self.after(points);
        (self.attempts, self.failures, self.first_attempt_at) = (1, 0, at);
        self.step_since = tokio::time::Instant::now();
        self.at = point;
    }

    pub(super) fn sealed(&self, answer: &Response) -> Result<StoredResponse, Error> {
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &self.key };
        sealer.seal_response(answer).map_err(|source| self.unfit(FINISHED, source))
    }

    pub(super) fn opened_answer(&self, answer: StoredResponse) -> Result<Response, Error> {
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &self.key };
        sealer.open_response(answer).map_err(|source| self.unfit(&self.at, source))
    }

    fn opened(&self, point: &ReachedPoint) -> Result<Vec<u8>, Error> {
        let sealer = Sealer { codec: &*self.inner.settings.codec, key: &self.key };
        sealer.open_data(&point.name, point.data.clone()).map_err(|source| self.unfit(&point.name, source))
    }

    fn unfit(&self, point: &str, source: crate::BoxError) -> Error {
        Error::Data { key: self.key.clone(), point: point.to_owned(), source }
    }
}

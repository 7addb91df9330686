//! The claim: by insert, else by compare-and-set. The look between the two decides nothing but what to answer where
//! there is nothing to claim: a finished key costs no second write, and a row that only looked free is still guarded.

use std::any::TypeId;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::advance::StoredResponse;
use crate::digest::{self, DIGEST_VERSION, Origin};
use crate::point::{FINISHED, STARTED};
use crate::record::{Lease, NewKey, Record, Status, Take, Taken};
use crate::{ClaimKind, Error, Key, Response, Store};

use super::Inner;
use super::course::{Course, is_undone_from};
use super::held::Held;
use super::patience::Limit;
use super::persist;
use super::seal::Sealer;

/// Between the compare-and-set and the look, the row may have become free or have gone. It is asked again, but a key
/// that changes hands that fast is in progress.
const TRIES: usize = 4;

/// Nobody is told to ask again at once.
const SOONEST: Duration = Duration::from_millis(100);

/// What came of a claim.
pub(super) enum Claim {
    /// The key is ours.
    Ours(Box<Claimed>),
    /// It is finished.
    Replay(Response),
}

/// A key that is ours: all that its run needs, opened.
pub(super) struct Claimed {
    pub(super) key: Key,
    pub(super) kind: ClaimKind,
    pub(super) held: Held,
    pub(super) recovery_point: String,
    pub(super) seq: i32,
    pub(super) data: Vec<u8>,
    pub(super) request: Vec<u8>,
    pub(super) effect_seed: Vec<u8>,
    pub(super) attempts: i32,
    pub(super) failures: i32,
    pub(super) first_attempt_at: DateTime<Utc>,
    /// How long ago that was, and the first claim.
    pub(super) step_age: Duration,
    pub(super) age: Duration,
    pub(super) course: Course,
}

/// What a claim has to know of a workflow.
pub(super) struct Known {
    pub(super) workflow: &'static str,
    pub(super) version: u32,
    /// The type of its request.
    pub(super) request: TypeId,
    /// The points from which a step starts, aliases included.
    pub(super) points: Vec<&'static str>,
    pub(super) steps: Vec<&'static str>,
    /// The points before the point of no return, aliases included.
    pub(super) cancellable: Vec<&'static str>,
    /// What a cancelled key answers, where the caller of cancel does not say.
    pub(super) cancelled: Response,
}

impl Known {
    /// Whether a key that stands there can go on: forward, or, at a point of an undo, back.
    pub(super) fn goes_on_from(&self, point: &str) -> bool {
        match point.split_once('.') {
            None => self.points.contains(&point),
            Some((step, _)) => self.steps.contains(&step),
        }
    }
}

/// What is asked of a key.
pub(super) struct Ask {
    pub(super) key: Key,
    /// The request as JSON; `None` for who resumes.
    pub(super) request: Option<Vec<u8>>,
    pub(super) origin: Origin,
}

pub(super) async fn claim<S: Store, A: Send + Sync + 'static>(
    inner: &Inner<S, A>,
    known: &Known,
    ask: Ask,
) -> Result<Claim, Error> {
    let Ask { key, request, origin } = ask;
    let _claiming = inner.registry.claiming();
    let limit = limit(inner);
    let claim_id = Uuid::new_v4();
    let mut new = match &request {
        Some(request) => Some(new_key(inner, known, &key, request, origin, claim_id)?),
        None => None,
    };
    let digest = new.as_ref().map(|new| new.digest);
    let take = Take {
        scope: key.scope(),
        value: key.value(),
        claim_id,
        workflow: known.workflow,
        digest: digest.as_ref().map(|digest| &digest[..]),
        points: &known.points,
        lease: inner.settings.lease,
    };
    // What was met is looked for first: if it is finished, that is all.
    let first = usize::from(new.as_ref().is_some_and(|new| inner.met.again(&new.effect_seed)));
    for number in 0..TRIES {
        let (mut sent, mut inserts) = (Instant::now(), 0);
        let stopping = inner.registry.stopping().is_raised();
        if let (Some(new), Some(request)) = (&new, &request)
            && number >= first
            && !stopping
        {
            let insert = || {
                (sent, inserts) = (Instant::now(), inserts + 1);
                inner.store.insert(new)
            };
            if let Some(first_attempt_at) = limit.patiently(insert).await? {
                return Ok(Claim::Ours(Box::new(fresh(
                    inner,
                    key.clone(),
                    new,
                    request,
                    first_attempt_at,
                    sent,
                ))));
            }
        }
        // A repeated insert may have met the row of the one before, whose reply was lost: only `take` can tell.
        if inserts < 2 {
            match limit.patiently(|| inner.store.find(&key)).await? {
                None if request.is_none() => return Err(Error::UnknownKey { key }),
                None if stopping => return Err(Error::Interrupted),
                // It has just been forgotten, or an earlier life has left a tombstone.
                None => {
                    if let Some(new) = &mut new {
                        let generation = limit.patiently(|| inner.store.generation(&key)).await?;
                        live(inner, &key, new, generation);
                    }
                    continue;
                }
                Some(record) => {
                    if let Some(response) = verdict(inner, known, &key, take.digest, record)? {
                        return Ok(Claim::Replay(response));
                    }
                }
            }
        }
        if stopping {
            return Err(Error::Interrupted);
        }
        let retake = || {
            sent = Instant::now();
            inner.store.take(take)
        };
        if let Some(taken) = limit.patiently(retake).await? {
            return Ok(Claim::Ours(Box::new(resumed(inner, key.clone(), taken, sent).await?)));
        }
    }
    Err(Error::InProgress { key, retry_after: inner.settings.lease })
}

/// Before the key is ours, patience is the builder's.
pub(super) fn limit<S: Store, A>(inner: &Inner<S, A>) -> Limit {
    Limit { call: inner.settings.call_limit(), until: Instant::now() + inner.settings.patience }
}

/// The row of a key that is asked with a request.
pub(super) fn new_key_of<S: Store, A: Send + Sync + 'static>(
    inner: &Inner<S, A>,
    known: &Known,
    ask: &Ask,
    claim_id: Uuid,
) -> Result<NewKey, Error> {
    let request = ask.request.as_deref().unwrap_or_default();
    new_key(inner, known, &ask.key, request, ask.origin.clone(), claim_id)
}

fn new_key<S: Store, A: Send + Sync + 'static>(
    inner: &Inner<S, A>,
    known: &Known,
    key: &Key,
    request: &[u8],
    origin: Origin,
    claim_id: Uuid,
) -> Result<NewKey, Error> {
    let settings = &inner.settings;
    let digest = digest::digest(&settings.digest_secret, known.workflow, &origin, request)?;
    let sealer = Sealer { codec: &*settings.codec, key };
    let sealed = sealer.seal_request(request.to_vec()).map_err(|source| data(key, STARTED, source))?;
    let mut new = NewKey {
        id: Uuid::now_v7(),
        claim_id,
        scope: key.scope().to_owned(),
        value: key.value().to_owned(),
        workflow: known.workflow.to_owned(),
        version: known.version,
        digest,
        digest_version: DIGEST_VERSION,
        effect_seed: [0; 32],
        generation: 0,
        request_method: origin.method,
        request_path: origin.path,
        request_params: sealed,
        lease: settings.lease,
    };
    // Nearly always it is the first life: a tombstone is looked for when the store has refused it.
    live(inner, key, &mut new, 0);
    Ok(new)
}

/// Each life has effect keys of its own.
fn live<S: Store, A>(inner: &Inner<S, A>, key: &Key, new: &mut NewKey, generation: i32) {
    let namespace = &inner.settings.namespace;
    new.generation = generation;
    new.effect_seed = digest::effect_seed(namespace, key, generation, &new.workflow, &new.digest);
}

/// A fresh key proves that there is nothing to load.
fn fresh<S: Store, A>(
    inner: &Inner<S, A>,
    key: Key,
    new: &NewKey,
    request: &[u8],
    first_attempt_at: DateTime<Utc>,
    sent: Instant,
) -> Claimed {
    Claimed {
        key,
        kind: ClaimKind::Fresh,
        held: inner.registry.hold(Lease { id: new.id, fence: 1 }, sent),
        recovery_point: STARTED.to_owned(),
        seq: 0,
        data: request.to_vec(),
        request: request.to_vec(),
        effect_seed: new.effect_seed.to_vec(),
        attempts: 1,
        failures: 0,
        first_attempt_at,
        step_age: Duration::ZERO,
        age: Duration::ZERO,
        course: Course::Forward,
    }
}

/// A key that somebody has begun: it goes on with what is stored, not with what this build would compute.
async fn resumed<S: Store, A>(
    inner: &Inner<S, A>,
    key: Key,
    taken: Taken,
    sent: Instant,
) -> Result<Claimed, Error> {
    let held = inner.registry.hold(taken.lease, sent);
    let age = |since: DateTime<Utc>| (taken.taken_at - since).to_std().unwrap_or_default();
    let point = taken.recovery_point;
    let opened = open(inner, &key, &point, taken.request_params, taken.data, taken.answer);
    let (request, data, answer) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            persist::give_back(inner, &held, Some(&error)).await;
            return Err(error);
        }
    };
    Ok(Claimed {
        kind: ClaimKind::of(taken.lease.fence, taken.attempts),
        held,
        course: Course::of(&point, answer),
        recovery_point: point,
        seq: taken.seq,
        data,
        request,
        effect_seed: taken.effect_seed,
        attempts: taken.step_attempts,
        failures: taken.failures,
        first_attempt_at: taken.first_attempt_at,
        step_age: age(taken.first_attempt_at),
        age: age(taken.created_at),
        key,
    })
}

/// The request, the data of the point, and the answer of a key that is undone or to be.
type Opened = (Vec<u8>, Vec<u8>, Option<Response>);

fn open<S: Store, A>(
    inner: &Inner<S, A>,
    key: &Key,
    point: &str,
    request: Vec<u8>,
    sealed: Option<Vec<u8>>,
    answer: Option<StoredResponse>,
) -> Result<Opened, Error> {
    let sealer = Sealer { codec: &*inner.settings.codec, key };
    let request = sealer.open_request(request).map_err(|source| data(key, STARTED, source))?;
    let answer = answer.map(|answer| sealer.open_response(answer)).transpose();
    let answer = answer.map_err(|source| data(key, point, source))?;
    let opened = match sealed {
        // The point of an undo has no data.
        _ if is_undone_from(point) => Vec::new(),
        Some(sealed) => sealer.open_data(point, sealed).map_err(|source| data(key, point, source))?,
        None => request.clone(),
    };
    Ok((request, opened, answer))
}

/// Why a row could not be taken: an error, its response, or `None` if it is free by now.
fn verdict<S: Store, A: Send + Sync + 'static>(
    inner: &Inner<S, A>,
    known: &Known,
    key: &Key,
    digest: Option<&[u8]>,
    record: Record,
) -> Result<Option<Response>, Error> {
    let key = key.clone();
    if record.workflow != known.workflow || digest.is_some_and(|digest| digest != record.digest) {
        return Err(Error::Mismatch { key, workflow: record.workflow });
    }
    match record.status {
        Status::Finished => {
            let sealer = Sealer { codec: &*inner.settings.codec, key: &key };
            let stored = record.response.ok_or_else(|| "a finished key without a response".into());
            let response = stored.and_then(|stored| sealer.open_response(stored));
            response.map(Some).map_err(|source| data(&key, FINISHED, source))
        }
        Status::NeedsAttention => Err(Error::NeedsAttention { key, status: record.status }),
        Status::Running | Status::Waiting if record.lease_left.is_zero() && record.wake_left.is_zero() => {
            match known.points.contains(&&*record.recovery_point) {
                true => Ok(None),
                false => {
                    Err(Error::UnknownPoint { key, workflow: record.workflow, point: record.recovery_point })
                }
            }
        }
        Status::Waiting | Status::Undoing if !record.wake_left.is_zero() => {
            Err(Error::Waiting { key, retry_after: record.wake_left.max(SOONEST) })
        }
        Status::Undoing if record.lease_left.is_zero() => Ok(None),
        Status::Running | Status::Waiting | Status::Undoing => {
            Err(Error::InProgress { key, retry_after: record.lease_left.max(SOONEST) })
        }
    }
}

fn data(key: &Key, point: &str, source: crate::BoxError) -> Error {
    Error::Data { key: key.clone(), point: point.to_owned(), source }
}

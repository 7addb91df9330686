//! One step alone, through the runner's own transaction and persistence.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use workflow::seam::{Advance, Lease, NewKey, To};
use workflow::{
    DIGEST_VERSION, Defines, Error, Key, Reach, RecoveryPoint, Response, Runner, STARTED, StagedJob, Stepped,
    Store,
};

/// Enough to plant a key; the runner then claims it for as long as it likes.
const LEASE: Duration = Duration::from_secs(60);

/// A step to be tried: a workflow and a request.
///
/// A trial plants a key at a recovery point with made-up data, runs exactly the step that starts there, and shows
/// what it reached. It works on every store, and what the step writes is committed there. To the step it is the second
/// attempt, since a run that planted the key was there before.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use workflow::{Atomic, RecoveryPoint, Response, Step, Workflow};
/// use workflow_testkit::{Memory, MemoryConn, Trial};
///
/// #[derive(Serialize, Deserialize)]
/// struct Cart { cents: i64 }
/// impl RecoveryPoint for Cart { const NAME: &'static str = "started"; }
/// #[derive(Serialize, Deserialize)]
/// struct OrderCreated { order_id: i64 }
/// impl RecoveryPoint for OrderCreated { const NAME: &'static str = "order_created"; }
///
/// async fn create_order(cx: Atomic<'_, MemoryConn, (), Cart>, _: Cart) -> Step<OrderCreated> {
///     Ok(OrderCreated { order_id: cx.conn.add("orders", 1) })
/// }
/// async fn stage_receipt(cx: Atomic<'_, MemoryConn, (), Cart>, order: OrderCreated) -> Step<Response> {
///     cx.stage("receipt", &order)?;
///     Ok(Response::json(201, &order)?)
/// }
/// fn checkout() -> Workflow<MemoryConn, (), Cart> {
///     Workflow::new("checkout").atomic("create_order", create_order).atomic("stage_receipt", stage_receipt).build()
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = Memory::new();
/// let tried = Trial::of(checkout, Cart { cents: 500 }).on(&store, ()).step().await;
/// assert_eq!(tried.reached::<OrderCreated>().order_id, 1);
///
/// let order = OrderCreated { order_id: 7 };
/// let tried = Trial::of(checkout, Cart { cents: 500 }).on(&store, ()).at(order).step().await;
/// assert_eq!(tried.response().body(), br#"{"order_id":7}"#);
/// assert_eq!(tried.jobs()[0].kind, "receipt");
/// # }
/// ```
#[must_use]
pub struct Trial<W, In> {
    workflow: W,
    request: In,
}

/// A [`Trial`] on a store, for an application.
#[must_use]
pub struct TrialOn<S, A, W, In> {
    trial: Trial<W, In>,
    store: S,
    app: Arc<A>,
    point: Option<Planted>,
}

/// A recovery point as it is planted.
struct Planted {
    name: &'static str,
    data: Vec<u8>,
}

/// What came of a [`Trial`].
#[derive(Debug)]
pub struct Tried {
    key: Key,
    outcome: Result<Stepped, Error>,
}

impl<W, In: RecoveryPoint> Trial<W, In> {
    /// A trial of this workflow, with this request.
    pub fn of(workflow: W, request: In) -> Self {
        Self { workflow, request }
    }

    /// On this store, for this application.
    pub fn on<S, A>(self, store: &S, app: impl Into<Arc<A>>) -> TrialOn<S, A, W, In>
    where
        S: Store,
        A: Send + Sync + 'static,
        W: Defines<S::Conn, A, In>,
    {
        TrialOn { trial: self, store: store.clone(), app: app.into(), point: None }
    }
}

impl<S, A, W, In> TrialOn<S, A, W, In>
where
    S: Store,
    A: Send + Sync + 'static,
    In: RecoveryPoint,
    W: Defines<S::Conn, A, In>,
{
    /// Starts at this point; otherwise at the request.
    ///
    /// # Panics
    /// If the point's data cannot be written as JSON.
    pub fn at<P: RecoveryPoint>(mut self, point: P) -> Self {
        self.point = Some(Planted { name: P::NAME, data: json(&point) });
        self
    }

    /// Plants the key and runs the step.
    ///
    /// # Panics
    /// If the key cannot be planted, or the workflow's definition is wrong. What the step does is no panic: it is
    /// in the outcome.
    pub async fn step(self) -> Tried {
        let key = Key::fresh("trial").expect("a valid scope");
        let workflow = self.trial.workflow;
        let name = workflow.define().name();
        plant(&self.store, &key, name, json(&self.trial.request), self.point).await;
        let runner = Runner::builder(self.store, self.app).with(workflow).build();
        let runner = runner.unwrap_or_else(|error| panic!("workflow `{name}` cannot be run: {error}"));
        Tried { outcome: runner.step(key.clone()).await, key }
    }
}

impl Tried {
    /// The point that the step reached.
    ///
    /// # Panics
    /// If it reached another, or a response, or nothing.
    pub fn reached<P: RecoveryPoint>(&self) -> P {
        match &self.stepped(&format!("recovery point `{}`", P::NAME)).reach {
            Reach::Point { name, data } if *name == P::NAME => serde_json::from_slice(data)
                .unwrap_or_else(|error| panic!("the data of `{name}` does not fit its type: {error}")),
            other => panic!("expected recovery point `{}`, but the step reached {}", P::NAME, shown(other)),
        }
    }

    /// The response that the step gave, by `Ok` or as a refusal.
    ///
    /// # Panics
    /// If it reached a recovery point, or nothing.
    pub fn response(&self) -> &Response {
        match &self.stepped("a response").reach {
            Reach::Response(response) => response,
            other => panic!("expected a response, but the step reached {}", shown(other)),
        }
    }

    /// Why the step reached nothing.
    ///
    /// # Panics
    /// If it reached something.
    pub fn error(&self) -> &Error {
        match &self.outcome {
            Err(error) => error,
            Ok(stepped) => panic!("expected an error, but the step reached {}", shown(&stepped.reach)),
        }
    }

    /// The jobs that the step staged: none if it reached nothing.
    pub fn jobs(&self) -> &[StagedJob] {
        self.outcome.as_ref().map_or(&[], |stepped| &stepped.jobs)
    }

    /// The name of the step that ran.
    ///
    /// # Panics
    /// If none ran.
    pub fn step(&self) -> &'static str {
        match &self.outcome {
            Ok(Stepped { step: Some(step), .. }) | Err(Error::Step { step, .. }) => step,
            Ok(_) => panic!("no step ran"),
            Err(error) => panic!("no step ran: {error}"),
        }
    }

    /// The key that was planted: look at it, or go on with it.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn stepped(&self, expected: &str) -> &Stepped {
        match &self.outcome {
            Ok(stepped) => stepped,
            Err(error) => panic!("expected {expected}, but the step reached nothing: {error}"),
        }
    }
}

fn shown(reach: &Reach) -> String {
    match reach {
        Reach::Point { name, .. } => format!("recovery point `{name}`"),
        Reach::Response(response) => {
            format!("the response {} `{}`", response.status(), String::from_utf8_lossy(response.body()))
        }
        other => format!("{other:?}"),
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("a recovery point is JSON")
}

/// A key as an earlier run would have left it: at the point, released.
async fn plant(store: &impl Store, key: &Key, workflow: &str, request: Vec<u8>, point: Option<Planted>) {
    let id = Uuid::now_v7();
    let new = NewKey {
        id,
        claim_id: Uuid::new_v4(),
        scope: key.scope().to_owned(),
        value: key.value().to_owned(),
        workflow: workflow.to_owned(),
        version: 1,
        // Nobody asks for this key by its request.
        digest: [0; 32],
        digest_version: DIGEST_VERSION,
        effect_seed: seed(id),
        generation: 0,
        request_method: None,
        request_path: None,
        request_params: request,
        lease: LEASE,
    };
    let lease = Lease { id, fence: 1 };
    let first_attempt_at = store.insert(&new).await.expect("a trial's key is planted").expect("it is new");
    if let Some(Planted { name, data }) = point {
        let advance = Advance {
            prev: STARTED,
            step: "planted",
            seq: 1,
            attempts: 1,
            first_attempt_at: Some(first_attempt_at),
            to: To::Point { name, data: &data },
            lease: LEASE,
        };
        store.advance(lease, advance).await.expect("a trial's point is planted");
    }
    store.release(lease, None).await.expect("a trial's key is released");
}

/// Each trial calls the outside world with effect keys of its own.
fn seed(id: Uuid) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(id.as_bytes());
    seed
}

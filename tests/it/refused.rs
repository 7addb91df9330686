//! What is refused before anything is claimed, and what goes wrong in code that is not the runner's: a clear error, the
//! row untouched or free, nothing lost.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::seam::Status;
use workflow::{
    BoxError, Codec, Error, Foreign, Key, Origin, Place, RecoveryPoint, RequestError, Response, Runner, Step,
    Workflow,
};
use workflow_testkit::{Memory, MemoryConn};

#[derive(Serialize, Deserialize)]
struct Ask<T>(T);

/// A request of this type, and a workflow that answers it.
macro_rules! asking {
    ($($name:ident: $request:ty;)+) => {$(
        impl RecoveryPoint for Ask<$request> {
            const NAME: &'static str = "started";
        }

        fn $name() -> Workflow<MemoryConn, (), Ask<$request>> {
            async fn answer(_: Foreign<'_, (), Ask<$request>>, _: Ask<$request>) -> Step<Response> {
                Ok(Response::empty(204))
            }
            Workflow::new(stringify!($name)).foreign("answer", answer).build()
        }
    )+};
}

asking! {
    measuring: f64;
    telling: Value;
    counting: u32;
}

/// The same name, another request.
fn counting_otherwise() -> Workflow<MemoryConn, (), Ask<Value>> {
    async fn answer(_: Foreign<'_, (), Ask<Value>>, _: Ask<Value>) -> Step<Response> {
        Ok(Response::empty(204))
    }
    Workflow::new("counting").foreign("answer", answer).build()
}

fn key() -> Key {
    Key::new("tenant", "k").unwrap()
}

fn runner(store: &Memory) -> Runner<Memory, ()> {
    Runner::builder(store.clone(), ()).with(measuring).with(telling).with(counting).build().unwrap()
}

#[tokio::test]
async fn a_request_that_does_not_read_back_is_refused_before_the_claim() {
    let runner = runner(&Memory::new());
    let nan = runner.run(measuring, key(), Ask(f64::NAN)).await.unwrap_err();
    assert!(matches!(nan, Error::Request(RequestError::Unreadable(_))), "{nan:?}");
    let deep = (0..130).fold(json!(1), |inner, _| json!([inner]));
    let deep = runner.run(telling, key(), Ask(deep)).await.unwrap_err();
    assert!(matches!(deep, Error::Request(_)), "{deep:?}");
    let other = runner.run(counting_otherwise, key(), Ask(json!("one"))).await.unwrap_err();
    assert!(matches!(other, Error::NotRegistered { .. }), "{other:?}");
    assert!(runner.status(&key()).await.unwrap().is_none(), "a row was made");
    // The key is as good as new.
    runner.run(measuring, key(), Ask(1.5)).await.unwrap();
}

#[tokio::test]
async fn a_request_at_the_depth_that_is_allowed_runs() {
    let runner = runner(&Memory::new());
    let deep = (0..119).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(runner.run(telling, key(), Ask(deep)).await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_way_in_that_cannot_be_stored_is_refused_before_the_claim() {
    let runner = runner(&Memory::new());
    let origin = |method: &str, path: &str| Origin {
        method: Some(method.into()),
        path: Some(path.into()),
        ..Origin::default()
    };
    for (bad, what) in [
        (origin("POST", &"/".repeat(2001)), "path"),
        (origin(&"X".repeat(21), "/"), "method"),
        (origin("POST", "/a\0b"), "path"),
    ] {
        let refused = runner.call(counting, key(), Ask(1)).origin(bad).run().await.unwrap_err();
        assert!(
            matches!(refused, Error::Request(RequestError::Origin { part, .. }) if part == what),
            "{refused:?}"
        );
    }
    assert!(runner.status(&key()).await.unwrap().is_none(), "a row was made");
}

/// A codec that panics where it is told to.
struct Panics(&'static str);

impl Codec for Panics {
    fn seal(&self, place: Place<'_>, plain: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        assert!(place.column != self.0, "no key for {}", place.column);
        Ok(plain)
    }

    fn open(&self, _: Place<'_>, sealed: Vec<u8>) -> Result<Vec<u8>, BoxError> {
        Ok(sealed)
    }
}

#[tokio::test]
async fn a_codec_that_panics_leaves_the_key_free() {
    let store = Memory::new();
    for column in ["request_params", "response_body"] {
        let runner = Runner::builder(store.clone(), ()).with(counting).codec(Panics(column)).build().unwrap();
        let error = runner.run(counting, key(), Ask(1)).await.unwrap_err();
        let Error::Data { source, .. } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(&format!("no key for {column}")), "{source}");
    }
    let runner = runner(&store);
    let standing = runner.status(&key()).await.unwrap().unwrap();
    assert_eq!((standing.status, standing.leased), (Status::Running, false));
    assert!(!runner.run(counting, key(), Ask(1)).await.unwrap().replayed());
}

async fn split(_: Foreign<'_, (), Ask<u32>>, _: Ask<u32>) -> Step<Response> {
    Ok(Response::empty(204).with_header("Location", "/a\r\nSet-Cookie: b"))
}

fn splitting() -> Workflow<MemoryConn, (), Ask<u32>> {
    Workflow::new("splitting").foreign("split", split).build()
}

#[tokio::test]
async fn a_header_that_would_split_the_response_is_not_stored() {
    let runner = Runner::builder(Memory::new(), ()).with(splitting).build().unwrap();
    let error = runner.run(splitting, key(), Ask(1)).await.unwrap_err();
    let Error::Data { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("header \"location\""), "{source}");
    assert_eq!(runner.status(&key()).await.unwrap().unwrap().status, Status::Running);
}

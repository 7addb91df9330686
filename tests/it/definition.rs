//! A wrong definition is found when the runner is built, and a right one prints itself.

use serde::{Deserialize, Serialize};
use workflow::{
    Atomic, BuildError, DefinitionError, Foreign, RecoveryPoint, Response, Runner, Step, Workflow,
};
use workflow_testkit::{Memory, MemoryConn};

/// A point of any name.
macro_rules! points {
    ($($point:ident = $name:literal $(or $alias:literal)?;)+) => {$(
        #[derive(Serialize, Deserialize)]
        struct $point;

        impl RecoveryPoint for $point {
            const NAME: &'static str = $name;
            $(const ALIASES: &'static [&'static str] = &[$alias];)?
        }
    )+};
}

points! {
    Start = "started";
    Middle = "middle";
    AlsoMiddle = "middle";
    OnceMiddle = "once_middle" or "middle";
    Begun = "begun";
    Restarted = "started";
    Ended = "finished";
    Spaced = "two words";
    Aliased = "aliased" or "finished";
}

type Defined<In> = Workflow<MemoryConn, (), In>;

macro_rules! steps {
    ($($step:ident: $at:ident => $to:ident;)+) => {$(
        async fn $step(_: Foreign<'_, (), Start>, _: $at) -> Step<$to> {
            Ok($to)
        }
    )+};
}

steps! {
    to_middle: Start => Middle;
    to_also_middle: Middle => AlsoMiddle;
    to_once_middle: Middle => OnceMiddle;
    to_restarted: Start => Restarted;
    to_ended: Start => Ended;
    to_spaced: Start => Spaced;
    to_aliased: Start => Aliased;
}

async fn answer<At: RecoveryPoint>(_: Foreign<'_, (), Start>, _: At) -> Step<Response> {
    Ok(Response::empty(204))
}

async fn answer_begun(_: Foreign<'_, (), Begun>, _: Begun) -> Step<Response> {
    Ok(Response::empty(204))
}

async fn write(_: Atomic<'_, MemoryConn, (), Start>, _: Middle) -> Step<Response> {
    Ok(Response::empty(204))
}

fn right() -> Defined<Start> {
    Workflow::new("right").foreign("call", to_middle).atomic("write", write).build()
}

fn no_name() -> Defined<Start> {
    Workflow::new("No Name").foreign("answer", answer).build()
}

fn no_step_name() -> Defined<Start> {
    Workflow::new("wrong").foreign("", answer).build()
}

fn two_steps_of_one_name() -> Defined<Start> {
    Workflow::new("wrong").foreign("call", to_middle).foreign("call", answer).build()
}

fn two_steps_of_one_effect_name() -> Defined<Start> {
    Workflow::new("wrong").foreign("call", to_middle).foreign("again", answer).effect_name("call").build()
}

fn two_points_of_one_name() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_middle).foreign("b", to_also_middle).foreign("c", answer).build()
}

fn an_alias_that_is_a_name() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_middle).foreign("b", to_once_middle).foreign("c", answer).build()
}

fn not_started() -> Defined<Begun> {
    Workflow::new("wrong").foreign("answer", answer_begun).build()
}

fn started_again() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_restarted).foreign("b", answer).build()
}

fn ended_early() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_ended).foreign("b", answer).build()
}

fn spaced() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_spaced).foreign("b", answer).build()
}

fn finished_alias() -> Defined<Start> {
    Workflow::new("wrong").foreign("a", to_aliased).foreign("b", answer).build()
}

fn two_points_of_no_return() -> Defined<Start> {
    let line = Workflow::new("wrong").foreign("call", to_middle).point_of_no_return();
    line.atomic("write", write).point_of_no_return().build()
}

fn right_too() -> Defined<Start> {
    Workflow::new("right").foreign("answer", answer).build()
}

fn wrong<In: RecoveryPoint>(define: fn() -> Defined<In>) -> DefinitionError {
    let by_itself = define().verify().expect_err("a wrong definition");
    match Runner::builder(Memory::new(), ()).with(define).build() {
        Err(BuildError::Definition(error)) => assert_eq!(error, by_itself),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{by_itself} was not found by the runner"),
    }
    by_itself
}

#[test]
fn names_are_checked_when_the_runner_is_built() {
    right().verify().unwrap();
    use DefinitionError as E;
    let workflow = "wrong";
    assert_eq!(wrong(no_name), E::Name { workflow: "No Name", what: "workflow", name: "No Name" });
    assert_eq!(wrong(no_step_name), E::Name { workflow, what: "step", name: "" });
    assert_eq!(wrong(two_steps_of_one_name), E::DuplicateStep { workflow, step: "call" });
    assert_eq!(wrong(two_steps_of_one_effect_name), E::DuplicateEffect { workflow, effect: "call" });
    assert_eq!(wrong(two_points_of_one_name), E::DuplicatePoint { workflow, point: "middle" });
    assert_eq!(wrong(an_alias_that_is_a_name), E::DuplicatePoint { workflow, point: "middle" });
    assert_eq!(wrong(not_started), E::NotStarted { workflow, point: "begun" });
    assert_eq!(wrong(started_again), E::Reserved { workflow, step: "a", point: "started" });
    assert_eq!(wrong(ended_early), E::Reserved { workflow, step: "a", point: "finished" });
    assert_eq!(wrong(spaced), E::Name { workflow, what: "recovery point", name: "two words" });
    assert_eq!(wrong(two_points_of_no_return), E::SecondPointOfNoReturn { workflow, step: "write" });
    assert_eq!(wrong(finished_alias), E::Reserved { workflow, step: "b", point: "finished" });
}

#[test]
fn two_workflows_of_one_name_are_refused() {
    let built = Runner::builder(Memory::new(), ()).with(right).with(right_too).build();
    let Err(error) = built else { panic!("two workflows were called `right`") };
    assert_eq!(error.to_string(), "two workflows are named `right`");
}

#[test]
fn a_lease_that_cannot_be_kept_is_refused() {
    use std::time::Duration;
    let second = Duration::from_secs(1);
    for (lease, heartbeat) in [(second, second), (second, second / 2), (second, Duration::ZERO)] {
        let built = Runner::builder(Memory::new(), ()).with(right).lease(lease).heartbeat(heartbeat).build();
        assert!(matches!(built, Err(BuildError::Lease { .. })), "{lease:?} {heartbeat:?}");
    }
    Runner::builder(Memory::new(), ()).with(right).lease(second * 3).heartbeat(second).build().unwrap();
}

#[test]
fn a_workflow_prints_itself_as_a_table_and_as_a_graph() {
    let table = "\
step   kind     from     reaches
call   foreign  started  middle
write  atomic   middle   finished
";
    assert_eq!(right().to_string(), table);
    let graph = "\
flowchart TD
    started(started) ==>|call| middle(middle)
    middle(middle) -->|write| finished([finished])
";
    assert_eq!(right().mermaid(), graph);
}

//! The crash matrix: refused at each step, with faults at each call of the store. Every step that was reached is undone
//! once, in reverse order, nothing else is touched, and there is one answer.
//!
//! A process that connects to PostgreSQL takes its time: there, not all of it is tried, unless `UNDO_MATRIX=full` is set.

use std::sync::Arc;
use std::time::Duration;

use workflow::{Answered, Error, Key};
use workflow_testkit::{Fault, Faulty, How, sweep};

use super::shop::{LEASE, REQUEST, Shop, expected_journal, expected_notes, five, journal, key, noted};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

const RETENTION: Duration = Duration::from_secs(72 * 60 * 60);

/// The journal of a key that nothing has refused.
const WHOLE: &str = "one two three four finished";

const HOWS: [How; 4] = [How::Before, How::After, How::AbandonBefore, How::AbandonAfter];

async fn refused_at_each_step_it_survives_a_fault_at_each_call<S: Noted>(stage: Stage<S>) {
    for refused in 1..=5 {
        for how in
            HOWS.into_iter().filter(|how| slow(&stage) == 1 || refused == 5 || *how == HOWS[refused % 4])
        {
            let calls = sweep(how, async |fault| survives(&stage, refused, &[fault]).await).await;
            assert!(calls >= 3 + refused, "{refused} {how:?}: only {calls} calls were tried");
        }
    }
}

/// At each pair of calls; on a database at some of them.
async fn refused_at_the_last_step_it_survives_two_faults<S: Noted>(stage: Stage<S>) {
    let stride = if stage.database.is_some() { slow(&stage).max(3) } else { 1 };
    for (i, first) in HOWS.into_iter().enumerate() {
        let second = HOWS[(i + 1) % HOWS.len()];
        for at in 1.. {
            let first = Fault { at, how: first };
            let mut later = at + 1 + at % stride;
            // As long as both fire.
            while survives(&stage, 5, &[first, Fault { at: later, how: second }]).await == 2 {
                later += stride;
            }
            if later == at + 1 + at % stride {
                assert!(at >= 8, "only {at} calls were tried");
                break;
            }
        }
    }
}

/// A key that was undone and reaped, in its next life: as often as its claim is tried, it calls by new effect keys, and
/// by the same ones each time.
async fn the_next_life_survives_a_fault_at_each_call<S: Noted>(stage: Stage<S>) {
    let hows = [How::After, How::Before, How::AbandonAfter];
    for how in hows.into_iter().take(if slow(&stage) == 1 { hows.len() } else { 1 }) {
        let calls = sweep(how, async |fault| {
            let (key, old) = (key(&format!("{how:?}-{}", fault.at)), Shop::refusing(5));
            old.runner(&stage.store).run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap();
            stage.clock.advance(RETENTION);
            assert_eq!(stage.store.reap(10).await.unwrap(), 1);
            let (shop, faulty) = (Shop::refusing(0), Faulty::new(stage.store.clone(), [fault]));
            let answered = answered(&stage, &shop, &faulty, &key).await;
            assert_eq!((answered.status(), journal(&stage.store, &key).await), (201, WHOLE.to_owned()));
            for name in ["2", "5"] {
                let keys = shop.effect_keys(name);
                assert_eq!(keys.len(), 1, "{how:?} {}: {name}", fault.at);
                assert_ne!(keys, old.effect_keys(name), "{how:?} {}: {name}", fault.at);
            }
            // Reaped with the next one.
            stage.clock.advance(RETENTION);
            assert_eq!(stage.store.reap(10).await.unwrap(), 1);
            faulty.fired()
        });
        assert!(calls.await >= 8, "{how:?}");
    }
}

/// Of how many cells one is tried.
fn slow<S>(stage: &Stage<S>) -> usize {
    let full = std::env::var_os("UNDO_MATRIX").is_some_and(|wanted| wanted == "full");
    match &stage.database {
        Some(database) if !full && database.url.starts_with("postgres") => 19,
        _ => 1,
    }
}

/// Returns how many of these faults have fired.
async fn survives<S: Noted>(stage: &Stage<S>, refused: usize, faults: &[Fault]) -> usize {
    let (shop, faulty) = (Shop::refusing(refused), Faulty::new(stage.store.clone(), faults.iter().copied()));
    let places: Vec<_> = faults.iter().map(|fault| format!("{:?}{}", fault.how, fault.at)).collect();
    let key = key(&format!("{refused}-{}", places.join("-")));
    let answered = answered(stage, &shop, &faulty, &key).await;
    assert_eq!(
        (answered.status(), answered.body()),
        (402, format!("no, says {refused}").as_bytes()),
        "{key:?}"
    );
    let told = format!("refused at {refused}, {places:?}");
    let replayed = shop.runner(&stage.store).run(five::<S::Conn>, key.clone(), REQUEST).await.unwrap();
    assert!(replayed.replayed() && replayed.response() == answered.response(), "{told}");
    assert_eq!(journal(&stage.store, &key).await, expected_journal(refused), "{told}");
    assert_eq!(noted(&stage.store, &key).await, expected_notes(refused), "{told}");
    let once =
        |name: &str, yes: bool| assert_eq!(shop.effect_keys(name).len(), usize::from(yes), "{told}: {name}");
    once("2", refused >= 2);
    once("-2", refused > 2);
    once("5", refused == 5);
    assert!(shop.effect_keys("2").iter().all(|key| !shop.effect_keys("-2").contains(key)), "{told}");
    faulty.fired()
}

/// The answer, after as many runs as there are faults and one.
async fn answered<S: Noted>(stage: &Stage<S>, shop: &Arc<Shop>, faulty: &Faulty<S>, key: &Key) -> Answered {
    let mut last = None;
    for _ in 0..4 {
        match lived(stage, shop, faulty, key).await {
            Some(Ok(answered)) => return answered,
            failed => last = Some(failed),
        }
        // Who died holds the lease until it runs out.
        stage.clock.advance(LEASE);
    }
    panic!("{key:?}: {last:?}")
}

/// A process with connections of its own. `None` if it died.
async fn lived<S: Noted>(
    stage: &Stage<S>,
    shop: &Arc<Shop>,
    faulty: &Faulty<S>,
    key: &Key,
) -> Option<Result<Answered, Error>> {
    let process = faulty.over(S::again(stage).await);
    let run = shop.runner(&process).run(five::<S::Conn>, key.clone(), REQUEST);
    process.process(run).await
}

everywhere!(
    refused_at_each_step_it_survives_a_fault_at_each_call,
    refused_at_the_last_step_it_survives_two_faults,
    the_next_life_survives_a_fault_at_each_call,
);

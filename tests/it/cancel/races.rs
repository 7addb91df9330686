//! Cancel against finish: never both, never neither.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use workflow::{Error, Runner};

use super::shop::{Cart, Shop, checkout, key};
use crate::phases::everywhere;
use crate::phases::stage::{Noted, Stage};

/// On each database; `CANCEL_RACES=10000` races longer.
const RACES: usize = 2000;

/// The store in memory copies all its rows for a transaction.
const IN_MEMORY: usize = 1000;

/// So many at once.
const AT_ONCE: usize = 16;

/// By so much the cancel is sent later after each race that it has won, and sooner after each other one.
const SHIFT: usize = 8;

/// Who has won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    Finish,
    Cancel,
}

async fn of_a_cancel_and_a_finish_one_wins<S: Noted>(stage: Stage<S>) {
    let races = if stage.database.is_some() { RACES } else { IN_MEMORY };
    let races = std::env::var("CANCEL_RACES").map_or(races, |races| races.parse().unwrap());
    let shop = Shop::told("reserve", &[]);
    let runner = shop.runner(&stage.store);
    // The cancel is sent so late that either wins about as often.
    let delay = AtomicUsize::new(0);
    let races = futures_util::stream::iter(0..races).map(|race| {
        let (runner, delay) = (runner.clone(), &delay);
        async move {
            let won = raced(&runner, race, delay.load(Ordering::Relaxed)).await;
            match won {
                Winner::Cancel => delay.fetch_add(SHIFT, Ordering::Relaxed),
                Winner::Finish => delay
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |d| d.checked_sub(SHIFT))
                    .unwrap_or(0),
            };
            (race, won)
        }
    });
    let won: Vec<_> = races.buffer_unordered(AT_ONCE).collect().await;

    let mut notes = HashMap::<String, Vec<String>>::new();
    for note in stage.store.notes().await {
        let (key, note) = note.split_once(' ').unwrap();
        notes.entry(key.to_owned()).or_default().push(note.to_owned());
    }
    let of = |winner| won.iter().filter(|(_, won)| *won == winner).count();
    for (race, won) in &won {
        let noted = notes.remove(&format!("race{race}")).unwrap_or_default();
        let mut noted: Vec<_> = noted.iter().map(String::as_str).collect();
        noted.sort_unstable();
        match won {
            Winner::Finish => assert_eq!(noted, ["placed", "reserved"], "{race}"),
            Winner::Cancel => {
                assert!(noted.is_empty() || noted == ["released", "reserved"], "{race}: {noted:?}")
            }
        }
    }
    // Whose cancel has won is not kept, whose finish has won is.
    assert_eq!(shop.charges().1, of(Winner::Finish));
    let tenth = won.len() / 10;
    assert!(
        of(Winner::Finish) > tenth && of(Winner::Cancel) > tenth,
        "no race: {} finished, {} cancelled",
        of(Winner::Finish),
        of(Winner::Cancel)
    );
}

async fn raced<S: Noted>(runner: &Runner<S, Shop>, race: usize, delay: usize) -> Winner {
    let key = key(&format!("race{race}"));
    let handle = runner.start(checkout::<S::Conn>, key.clone(), Cart).await.unwrap();
    let cancel = tokio::spawn({
        let (runner, key) = (runner.clone(), key.clone());
        async move {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            runner.cancel(key, None).await
        }
    });
    let (ran, cancelled) = tokio::join!(handle.wait(), cancel);
    let (ran, cancelled) = (ran.unwrap(), cancelled.unwrap());
    let stored = runner.resume(key).await.unwrap();
    assert!(stored.replayed() && stored.response() == ran.response(), "{ran:?}, {stored:?}");
    match (ran.status(), &cancelled) {
        (201, Err(Error::TooLate { .. })) => Winner::Finish,
        (409, Err(Error::InProgress { .. })) => Winner::Cancel,
        (409, Ok(answered)) if answered.response() == ran.response() => Winner::Cancel,
        _ => panic!("{race}: {ran:?}, {cancelled:?}"),
    }
}

everywhere!(of_a_cancel_and_a_finish_one_wins);

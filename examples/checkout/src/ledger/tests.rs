//! The ledger under many hands, torn and damaged.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Barrier;

use super::{Caller, Ledger, LedgerError, Outcome, Refusal, lines};
use crate::card::Card;
use crate::gateway::{Charge, Verdict};

fn charge(amount: i64, card: &str) -> Charge {
    Charge { order_id: "o-1".into(), amount, currency: "USD".into(), card: Card::new(card) }
}

fn caller(key: &str) -> Caller {
    Caller { effect_key: key.into(), node: Some("n".into()), fence: Some(1), attempt: Some(1) }
}

fn outcomes(path: &Path) -> Vec<(u64, Outcome)> {
    lines(path).unwrap().map(|line| line.unwrap()).map(|line| (line.seq, line.outcome)).collect()
}

#[test]
fn two_handles_with_one_key_charge_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.ndjson");
    let barrier = Barrier::new(8);
    let charged: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ledger = Ledger::open(&path).unwrap();
                    barrier.wait();
                    ledger.charge(&caller("k"), &charge(5, "4242424242424242")).unwrap()
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(charged.iter().all(|one| *one == charged[0]));
    let written = outcomes(&path);
    assert_eq!(written[0], (1, Outcome::Captured));
    assert_eq!(written[1..], [2, 3, 4, 5, 6, 7, 8].map(|seq| (seq, Outcome::Replayed)));
}

#[test]
fn charges_that_wait_together_are_decided_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.ndjson");
    let (ledger, other) = (Ledger::open(&path).unwrap(), Ledger::open(&path).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let ledger = if thread % 4 == 0 { &other } else { &ledger };
            scope.spawn(move || {
                for key in 0..20 {
                    ledger.charge(&caller(&format!("k{key}")), &charge(5, "4242424242424242")).unwrap();
                    let reused = ledger.charge(&caller(&format!("k{key}")), &charge(6, "4242424242424242"));
                    assert!(matches!(reused, Err(LedgerError::Refused(Refusal::KeyReused))));
                }
            });
        }
    });
    let written = outcomes(&path);
    assert!(written.iter().map(|(seq, _)| *seq).eq(1..=320), "{written:?}");
    assert_eq!(written.iter().filter(|(_, outcome)| *outcome == Outcome::Captured).count(), 20);
}

#[test]
fn a_torn_last_line_is_cut_off_and_never_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.ndjson");
    let ledger = Ledger::open(&path).unwrap();
    let first = ledger.charge(&caller("a"), &charge(5, "4242424242424242")).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for torn in [&whole[..1], &whole[..whole.len() - 1], b"\0\0\0"] {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(torn).unwrap();
        assert_eq!(outcomes(&path).len(), 1);
        let again = Ledger::open(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        assert_eq!(again.find("a").unwrap().map(|found| found.charge_id), captured(&first));
    }
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&whole[..20]).unwrap();
    assert_eq!(ledger.charge(&caller("a"), &charge(5, "4242424242424242")).unwrap(), first);
    assert_eq!(outcomes(&path), [(1, Outcome::Captured), (2, Outcome::Replayed)]);
}

#[test]
fn a_damaged_line_is_an_error_and_not_forgotten_money() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.ndjson");
    std::fs::write(&path, "{\"seq\":1}\n").unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::Damaged { at: 0, .. })));
}

#[test]
fn a_key_stands_for_one_request() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path().join("l")).unwrap();
    let good = charge(5, "4242424242424242");
    ledger.charge(&caller("k"), &good).unwrap();
    let others = [
        charge(6, "4242424242424242"),
        charge(5, "378282246310005"),
        Charge { currency: "EUR".into(), ..good.clone() },
        Charge { order_id: "o-2".into(), ..good.clone() },
    ];
    for other in others {
        let refused = ledger.charge(&caller("k"), &other);
        assert!(matches!(refused, Err(LedgerError::Refused(Refusal::KeyReused))), "{other:?}");
    }
    assert!(ledger.charge(&caller("k"), &good).is_ok());
}

#[test]
fn a_decline_stays_a_decline_and_is_no_charge() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l");
    let ledger = Ledger::open(&path).unwrap();
    for _ in 0..2 {
        let verdict = ledger.charge(&caller("k"), &charge(5, "4000000000000002")).unwrap();
        assert!(matches!(verdict, Verdict::Declined { .. }));
    }
    assert_eq!(outcomes(&path), [(1, Outcome::Declined), (2, Outcome::Declined)]);
    assert_eq!(ledger.find("k").unwrap(), None);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("40000000"));
}

#[test]
fn a_charge_is_refunded_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l");
    let ledger = Ledger::open(&path).unwrap();
    let verdict = ledger.charge(&caller("k"), &charge(5, "4242424242424242")).unwrap();
    let charge_id = captured(&verdict).unwrap();
    let refund = ledger.refund(&caller("r"), &charge_id).unwrap();
    assert_eq!(Ledger::open(&path).unwrap().refund(&caller("r"), &charge_id).unwrap(), refund);
    let refused = |asked: Result<String, LedgerError>| match asked {
        Err(LedgerError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ledger.refund(&caller("s"), &charge_id)), Refusal::Refunded);
    assert_eq!(refused(ledger.refund(&caller("k"), &charge_id)), Refusal::KeyReused);
    assert_eq!(refused(ledger.refund(&caller("t"), "ch_none")), Refusal::UnknownCharge);
    assert!(ledger.find("k").unwrap().unwrap().refunded);
    let expected = [(1, Outcome::Captured), (2, Outcome::Refunded), (3, Outcome::Replayed)];
    assert_eq!(outcomes(&path), expected);
}

fn captured(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Captured { charge_id } => Some(charge_id.clone()),
        Verdict::Declined { .. } => None,
    }
}

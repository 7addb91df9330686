//! The ledger in memory: what was decided under which key. No file, no lock: only the rules.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::line::{Caller, Line, Outcome};
use crate::card::Card;
use crate::gateway::{Charge, Verdict};

/// The card that is always declined.
const DECLINED_CARD: &str = "4000000000000002";
/// Why.
const DECLINED: &str = "card declined";

/// Why a request was refused that moved nothing and leaves no line: the caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The key was used for another request.
    #[error("this key was used for another request")]
    KeyReused,
    /// There is no such charge.
    #[error("there is no such charge")]
    UnknownCharge,
    /// The charge was refunded under another key.
    #[error("this charge was refunded under another key")]
    Refunded,
    /// The amount is negative.
    #[error("the amount is negative")]
    Amount,
}

/// A charge that was looked up by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The charge.
    pub charge_id: String,
    /// Whether its money was given back.
    pub refunded: bool,
}

/// All that the lines so far say.
#[derive(Debug, Default)]
pub(super) struct Book {
    seq: u64,
    asked: HashMap<String, Asked>,
    /// Which key made a charge.
    charges: HashMap<String, String>,
    /// Which number its refund has.
    refunds: HashMap<String, u64>,
    salt: RandomState,
}

/// What was asked for under a key.
#[derive(Debug)]
enum Asked {
    Charge(First),
    Refund { charge_id: String },
}

/// The first request under a key.
#[derive(Debug)]
struct First {
    order_id: String,
    amount: i64,
    currency: String,
    charge_id: Option<String>,
    /// A hash that means nothing outside this process; none of a line that another process wrote.
    card: Option<u64>,
}

impl Book {
    /// Takes a line in.
    pub(super) fn record(&mut self, line: &Line, card: Option<&Card>) {
        self.seq = line.seq;
        let asked = match (line.outcome, &line.charge_id) {
            (Outcome::Refunded, Some(charge_id)) => {
                self.refunds.insert(charge_id.clone(), line.seq);
                Asked::Refund { charge_id: charge_id.clone() }
            }
            (Outcome::Captured | Outcome::Declined, charge_id) => {
                if let Some(charge_id) = charge_id {
                    self.charges.insert(charge_id.clone(), line.effect_key.clone());
                }
                Asked::Charge(First {
                    order_id: line.order_id.clone(),
                    amount: line.amount,
                    currency: line.currency.clone(),
                    charge_id: charge_id.clone(),
                    card: card.map(|card| self.salt.hash_one(card)),
                })
            }
            _ => return,
        };
        // The first line of a key counts: a later decline of the same key is its repetition.
        self.asked.entry(line.effect_key.clone()).or_insert(asked);
    }

    /// Decides a charge: the verdict, and the line that has to be on disk before it is told.
    pub(super) fn charge(&self, caller: &Caller, charge: &Charge) -> Result<(Verdict, Line), Refusal> {
        if charge.amount < 0 {
            return Err(Refusal::Amount);
        }
        let (charge_id, outcome) = match self.asked.get(&caller.effect_key) {
            Some(Asked::Charge(first)) if self.same(first, charge) => match &first.charge_id {
                Some(charge_id) => (Some(charge_id.clone()), Outcome::Replayed),
                None => (None, Outcome::Declined),
            },
            Some(_) => return Err(Refusal::KeyReused),
            None if charge.card.number() == DECLINED_CARD => (None, Outcome::Declined),
            None => (Some(format!("ch_{}", uuid::Uuid::new_v4().simple())), Outcome::Captured),
        };
        let verdict = match &charge_id {
            Some(charge_id) => Verdict::Captured { charge_id: charge_id.clone() },
            None => Verdict::Declined { reason: DECLINED.to_owned() },
        };
        let (order_id, currency) = (&charge.order_id, &charge.currency);
        Ok((verdict, self.line(caller, order_id, charge.amount, currency, charge_id, outcome)))
    }

    /// Decides a refund: the refund's id, and its line.
    pub(super) fn refund(&self, caller: &Caller, charge_id: &str) -> Result<(String, Line), Refusal> {
        let by = self.charges.get(charge_id).ok_or(Refusal::UnknownCharge)?;
        let Some(Asked::Charge(first)) = self.asked.get(by) else { return Err(Refusal::UnknownCharge) };
        let (seq, outcome) = match (self.asked.get(&caller.effect_key), self.refunds.get(charge_id)) {
            (Some(Asked::Refund { charge_id: earlier }), Some(seq)) if earlier == charge_id => {
                (*seq, Outcome::Replayed)
            }
            (Some(_), _) => return Err(Refusal::KeyReused),
            (None, Some(_)) => return Err(Refusal::Refunded),
            (None, None) => (self.seq + 1, Outcome::Refunded),
        };
        let charge_id = Some(charge_id.to_owned());
        let line = self.line(caller, &first.order_id, first.amount, &first.currency, charge_id, outcome);
        Ok((format!("re_{seq}"), line))
    }

    /// The charge that was made under this key.
    pub(super) fn find(&self, effect_key: &str) -> Option<Found> {
        let Some(Asked::Charge(first)) = self.asked.get(effect_key) else { return None };
        let charge_id = first.charge_id.clone()?;
        Some(Found { refunded: self.refunds.contains_key(&charge_id), charge_id })
    }

    /// The card is compared where this process has seen it: the ledger keeps nothing of it.
    fn same(&self, first: &First, charge: &Charge) -> bool {
        (&first.order_id, first.amount, &first.currency)
            == (&charge.order_id, charge.amount, &charge.currency)
            && first.card.is_none_or(|card| card == self.salt.hash_one(&charge.card))
    }

    fn line(
        &self,
        caller: &Caller,
        order_id: &str,
        amount: i64,
        currency: &str,
        charge_id: Option<String>,
        outcome: Outcome,
    ) -> Line {
        Line {
            seq: self.seq + 1,
            order_id: order_id.to_owned(),
            amount,
            currency: currency.to_owned(),
            effect_key: caller.effect_key.clone(),
            charge_id,
            node: caller.node.clone(),
            fence: caller.fence,
            attempt: caller.attempt,
            outcome,
        }
    }
}

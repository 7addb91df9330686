//! One line of the ledger.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Money was taken.
    Captured,
    /// A repetition: answered as at the first time, no money moved.
    Replayed,
    /// No money was taken.
    Declined,
    /// Money was given back.
    Refunded,
}

/// One request that moved money or refused to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// The order.
    pub order_id: String,
    /// How much, in minor units.
    pub amount: i64,
    /// The currency.
    pub currency: String,
    /// The request's `Idempotency-Key`.
    pub effect_key: String,
    /// The charge; none if it was declined.
    pub charge_id: Option<String>,
    /// `X-Node` of the caller.
    pub node: Option<String>,
    /// `X-Fence` of the caller.
    pub fence: Option<i64>,
    /// `X-Attempt` of the caller.
    pub attempt: Option<u32>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Who asks, and under which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `Idempotency-Key`.
    pub effect_key: String,
    /// `X-Node`.
    pub node: Option<String>,
    /// `X-Fence`.
    pub fence: Option<i64>,
    /// `X-Attempt`.
    pub attempt: Option<u32>,
}

impl Caller {
    /// The caller that this stamp names.
    pub fn of(stamp: &Stamp) -> Self {
        Self {
            effect_key: stamp.effect_key.to_string(),
            node: Some(stamp.node.clone()),
            fence: Some(stamp.fence),
            attempt: Some(stamp.attempt),
        }
    }
}

/// The whole lines of a ledger, from the first, one at a time. What a killed writer left behind the last of them is
/// not one. A ledger that is not there has none.
///
/// # Errors
/// If the file cannot be read, or an item of the iterator is not a line.
pub fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Line>> + use<>> {
    let mut file = match File::open(path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    Ok(std::iter::from_fn(move || {
        text.clear();
        match file.as_mut()?.read_until(b'\n', &mut text) {
            Ok(_) if !text.ends_with(b"\n") => None,
            Ok(_) => Some(serde_json::from_slice(&text).map_err(io::Error::from)),
            Err(error) => Some(Err(error)),
        }
    }))
}

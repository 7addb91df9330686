//! Which requests this runner has met: a guess that decides only which of two statements a claim sends first.
//!
//! A key that is new is inserted, and one that is not is found: who guesses right sends one statement less. A wrong guess
//! costs one statement more, and changes nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many requests are remembered at the most. Two whose seeds begin alike push each other out.
const PLACES: u64 = 4096;

pub(super) struct Met(Box<[AtomicU64]>);

impl Met {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether the request of this effect seed was met before; from now on it was. The seed is a hash of the key and of all
    /// that is asked for.
    pub(super) fn again(&self, seed: &[u8]) -> bool {
        let Some(hash) = seed.first_chunk().map(|first| u64::from_le_bytes(*first)) else { return false };
        let place = usize::try_from(hash % PLACES).ok().and_then(|place| self.0.get(place));
        place.is_some_and(|place| place.swap(hash, Ordering::Relaxed) == hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_met_once_and_then_again() {
        let met = Met::new();
        let seed = |n: u64| [n.to_le_bytes(), [7; 8]].concat();
        assert!(!met.again(&seed(5)) && met.again(&seed(5)));
        // One whose place is the same pushes it out.
        assert!(!met.again(&seed(5 + PLACES)) && !met.again(&seed(5)));
        assert!(!met.again(&[1, 2, 3]) && !met.again(&[1, 2, 3]));
    }
}

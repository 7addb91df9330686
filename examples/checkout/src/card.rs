//! The card number: never printed, never written in clear.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A card number. `Debug` hides it; there is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Card(String);

impl Card {
    /// Any text; [`is_valid`](Self::is_valid) says whether it may be a card number.
    pub fn new(number: impl Into<String>) -> Self {
        Self(number.into())
    }

    /// The number, for who has to charge it.
    pub fn number(&self) -> &str {
        &self.0
    }

    /// 12 to 19 digits with a right Luhn digit.
    pub fn is_valid(&self) -> bool {
        (12..=19).contains(&self.0.len()) && self.0.bytes().all(|b| b.is_ascii_digit()) && luhn(&self.0)
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(hidden)")
    }
}

/// From the right, every second digit counts double, by the sum of its digits; all together make a multiple of ten.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, doubled)| match u32::from(digit - b'0') * (1 + u32::from(doubled)) {
            two_digits @ 10.. => two_digits - 9,
            one => one,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_luhn_digit_is_checked() {
        for good in
            ["4242424242424242", "4000000000000002", "378282246310005", "6304000000000000", "79927398713000"]
        {
            assert!(luhn(good) == Card::new(good).is_valid());
        }
        for good in ["4242424242424242", "4000000000000002", "378282246310005", "30569309025904"] {
            assert!(Card::new(good).is_valid(), "{good}");
        }
        for bad in ["4242424242424241", "2424242424242424", "", "0", "42424242424", "4242 4242 4242 4242"] {
            assert!(!Card::new(bad).is_valid(), "{bad}");
        }
        // One digit changed is always found.
        for at in 0..16 {
            let mut number = String::from("4242424242424242").into_bytes();
            number[at] = if number[at] == b'9' { b'0' } else { number[at] + 1 };
            assert!(!Card::new(String::from_utf8(number).unwrap()).is_valid(), "position {at}");
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        assert!(!format!("{:?}", Card::new("4242424242424242")).contains(|c: char| c.is_ascii_digit()));
    }
}

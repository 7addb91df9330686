//! Figures, as people and machines read them.

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// `6,919`.
pub fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `244,091.94`, of cents.
pub fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", grouped(cents / 100), cents % 100)
}

/// Prints one JSON object as a line of standard output.
///
/// # Errors
/// [`Failure::Output`] if nobody takes it.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Hex SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        assert_eq!(
            [0, 999, 1000, -6919, 1_234_567].map(grouped),
            ["0", "999", "1,000", "-6,919", "1,234,567"]
        );
        assert_eq!([0, 5, 24_409_194, -150].map(dollars), ["0.00", "0.05", "244,091.94", "-1.50"]);
    }
}

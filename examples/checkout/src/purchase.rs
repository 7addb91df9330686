//! A file of purchases: one a line, five columns split on blanks.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use workflow::{Key, KeyError};

use crate::card::Card;
use crate::order::{Invalid, Order};

/// No line of such a file is nearly so long; what is, is no such file.
const MAX_LINE: u64 = 1024;
/// How many bad lines are named.
const NAMED: usize = 20;

/// The card that pays for all of them: the customary test number.
const CARD: &str = "4242424242424242";
/// The article: the shop sold records.
const SKU: &str = "cd";
const CURRENCY: &str = "USD";

/// One line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Its number, from 1.
    pub line: u32,
    /// How many records.
    pub qty: i64,
    /// What they cost, in cents.
    pub cents: i64,
    /// A hash of its columns and of how many equal lines stand before it: twins are two purchases, and the same
    /// two at every import.
    id: u128,
}

impl Purchase {
    /// Its idempotency key.
    ///
    /// # Errors
    /// [`KeyError`] if the tenant is no scope.
    pub fn key(&self, tenant: &str) -> Result<Key, KeyError> {
        Key::new(tenant, format!("purchase-{:032x}", self.id))
    }

    /// Its order.
    pub fn order(&self) -> Order {
        Order {
            order_id: format!("{:032x}", self.id),
            sku: SKU.to_owned(),
            qty: self.qty,
            amount: self.cents,
            currency: CURRENCY.to_owned(),
            card: Card::new(CARD),
        }
    }
}

/// Why a line is no purchase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadLine {
    /// Not text.
    #[error("is not UTF-8")]
    NotText,
    /// Much too long.
    #[error("is longer than {MAX_LINE} bytes")]
    TooLong,
    /// Too few or too many columns.
    #[error("has {0} columns instead of 5 (customer, customer in the sample, date, number of CDs, dollars)")]
    Columns(usize),
    /// A customer.
    #[error("column {0} is no customer number")]
    Customer(usize),
    /// The date.
    #[error("column 3 is no date YYYYMMDD")]
    Date,
    /// The quantity.
    #[error("column 4 is no quantity")]
    Qty,
    /// The amount.
    #[error("column 5 is no amount in dollars with at most two decimals")]
    Amount,
    /// The sum of the file.
    #[error("brings the sum of the file over {} cents", i64::MAX)]
    Sum,
    /// A rule of the order.
    #[error("breaks a rule of orders: {0}")]
    Order(#[from] Invalid),
}

/// Why a file was refused. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadFile {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// Lines that are no purchases.
    #[error("{0}; nothing was imported, correct the file and try again")]
    Lines(BadLines),
    /// No line at all.
    #[error("has no line")]
    Empty,
}

/// The lines that are no purchases.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct BadLines {
    /// Number and reason of the first of them.
    pub named: Vec<(u32, BadLine)>,
    /// How many more.
    pub more: usize,
}

impl BadLines {
    fn push(&mut self, line: u32, why: BadLine) {
        if self.named.len() < NAMED { self.named.push((line, why)) } else { self.more += 1 }
    }
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (line, why)) in self.named.iter().enumerate() {
            write!(f, "{}line {line} {why}", if i == 0 { "" } else { ", " })?;
        }
        if self.more > 0 { write!(f, ", and {} more", self.more) } else { Ok(()) }
    }
}

/// Reads all purchases: all of them, or none if one is bad.
///
/// # Errors
/// [`BadFile`] names the bad lines.
pub fn read(mut file: impl BufRead) -> Result<Vec<Purchase>, BadFile> {
    let (mut purchases, mut bad) = (Vec::new(), BadLines::default());
    let (mut twins, mut sum, mut text) = (HashMap::new(), 0_i64, Vec::new());
    for line in 1.. {
        text.clear();
        if file.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)? == 0 {
            break;
        }
        match parsed(line, &text, &mut twins, &mut sum) {
            Ok(purchase) => purchases.push(purchase),
            Err(why) => bad.push(line, why),
        }
        // The rest of a line that is too long is not a line of its own.
        while text.len() as u64 == MAX_LINE && !text.ends_with(b"\n") {
            text.clear();
            file.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
        }
    }
    match (bad.named.is_empty(), purchases.is_empty()) {
        (false, _) => Err(BadFile::Lines(bad)),
        (true, true) => Err(BadFile::Empty),
        (true, false) => Ok(purchases),
    }
}

/// What all of them cost, in cents.
pub fn total(purchases: &[Purchase]) -> i64 {
    purchases.iter().map(|purchase| purchase.cents).sum()
}

fn parsed(
    line: u32,
    text: &[u8],
    twins: &mut HashMap<[u8; 32], u32>,
    sum: &mut i64,
) -> Result<Purchase, BadLine> {
    if text.len() as u64 == MAX_LINE && !text.ends_with(b"\n") {
        return Err(BadLine::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| BadLine::NotText)?;
    let columns: Vec<&str> = text.split_ascii_whitespace().collect();
    let &[customer, in_sample, date, qty, dollars] = &columns[..] else {
        return Err(BadLine::Columns(columns.len()));
    };
    for (at, number) in [(1, customer), (2, in_sample)] {
        digits(number).ok_or(BadLine::Customer(at))?;
    }
    is_date(date).then_some(()).ok_or(BadLine::Date)?;
    let qty = digits(qty).ok_or(BadLine::Qty)?;
    let cents = cents(dollars).ok_or(BadLine::Amount)?;
    let hash = hash(&columns);
    let twin = twins.entry(hash).or_default();
    *twin += 1;
    let purchase = Purchase { line, qty, cents, id: id(&hash, *twin) };
    purchase.order().validate()?;
    *sum = sum.checked_add(cents).ok_or(BadLine::Sum)?;
    Ok(purchase)
}

/// Digits only: no sign, no fraction.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Cents from the decimal digits, without a float.
fn cents(dollars: &str) -> Option<i64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, "00"));
    let part = match part.len() {
        1 => digits(part)? * 10,
        2 => digits(part)?,
        _ => return None,
    };
    digits(whole)?.checked_mul(100)?.checked_add(part)
}

fn is_date(text: &str) -> bool {
    text.len() == 8 && digits(text).is_some() && NaiveDate::parse_from_str(text, "%Y%m%d").is_ok()
}

fn hash(columns: &[&str]) -> [u8; 32] {
    Sha256::digest(columns.join(" ")).into()
}

/// The first half of a hash over the line's and the twin's number.
fn id(hash: &[u8; 32], twin: u32) -> u128 {
    let mut of = Sha256::new();
    of.update(hash);
    of.update(twin.to_be_bytes());
    let of: [u8; 32] = of.finalize().into();
    of.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn refused(text: impl AsRef<[u8]>) -> Vec<(u32, BadLine)> {
        match read(text.as_ref()) {
            Err(BadFile::Lines(bad)) => bad.named,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_embedded_file_adds_up() {
        let purchases = read(crate::CDNOW).unwrap();
        // LC_ALL=C awk '{ q += $4; split($5, d, "."); c += d[1] * 100 + d[2] } END { print NR, q, c }'
        assert_eq!(purchases.len(), 6919);
        assert_eq!(purchases.iter().map(|purchase| purchase.qty).sum::<i64>(), 16479);
        assert_eq!(total(&purchases), 24_409_194);
        let keys: HashSet<_> = purchases.iter().map(|purchase| purchase.key("cdnow").unwrap()).collect();
        assert_eq!(keys.len(), 6919, "two lines have one key");
        assert_eq!(purchases, read(crate::CDNOW).unwrap());
        assert!(purchases.iter().any(|purchase| purchase.cents == 0));
    }

    #[test]
    fn twins_are_two_purchases() {
        let twins = read(&b" 1 1 19970101 1 1.00\r\n 1 1 19970101  1 1.00\n"[..]).unwrap();
        assert_ne!(twins[0].id, twins[1].id);
    }

    #[test]
    fn cents_are_exact() {
        let good =
            [("0.00", 0), ("0.1", 10), ("29.33", 2933), ("7", 700), ("92233720368547758.07", i64::MAX)];
        for (text, expected) in good {
            assert_eq!(cents(text), Some(expected), "{text}");
        }
        for bad in ["", ".", "-1.00", "+1", "1.", "1.234", "1,00", "1e3", ".50", "92233720368547758.08", "١"]
        {
            assert_eq!(cents(bad), None, "{bad}");
        }
    }

    #[test]
    fn bad_lines_are_named_with_their_reason() {
        let good = "4 1 19970101 2 29.33";
        assert_eq!(refused(format!("{good}\n\n{good}\n")), [(2, BadLine::Columns(0))]);
        assert_eq!(refused(b"4 1 19970101 2 29.33\n\xff 1 2 3 4\n"), [(2, BadLine::NotText)]);
        assert_eq!(refused("4 1 19970101 2"), [(1, BadLine::Columns(4))]);
        assert_eq!(refused("x 1 19970101 2 1.00"), [(1, BadLine::Customer(1))]);
        assert_eq!(refused("4 1 19970230 2 1.00"), [(1, BadLine::Date)]);
        assert_eq!(refused("4 1 19970101 two 1.00"), [(1, BadLine::Qty)]);
        assert_eq!(refused("4 1 19970101 0 1.00"), [(1, BadLine::Order(Invalid::Qty))]);
        assert_eq!(refused("4 1 19970101 99999999999999999999 1.00"), [(1, BadLine::Qty)]);
        assert_eq!(refused("4 1 19970101 1 1.005"), [(1, BadLine::Amount)]);
        let half = format!("4 1 19970101 1 {}.00\n", i64::MAX / 200 + 1);
        assert_eq!(refused(half.repeat(2)), [(2, BadLine::Sum)]);
        let long = format!("{good}\n{}\n{good}\nbad\n", "9".repeat(5000));
        assert_eq!(refused(long), [(2, BadLine::TooLong), (4, BadLine::Columns(1))]);
        assert!(matches!(read(&b""[..]), Err(BadFile::Empty)));
        let many = "bad\n".repeat(25);
        let Err(bad) = read(many.as_bytes()) else { panic!("it was read") };
        assert!(bad.to_string().contains("and 5 more"), "{bad}");
    }
}

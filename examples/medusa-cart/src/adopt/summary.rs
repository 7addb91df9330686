//! What came of an adoption.

use std::fmt;

/// What came of an adoption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Keys that were finished there, and are replayed here from now on.
    pub replayable: usize,
    /// Keys that were unfinished there, and are finished by now.
    pub finished: usize,
    /// Keys that were here already.
    pub there: usize,
    /// Rows that are no completion of a cart.
    pub others: usize,
    /// Rows that were left alone, by their keys, and why.
    pub left: Vec<(String, Left)>,
}

/// Why a row was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// It stands at a point that no Medusa v1 has.
    UnknownPoint(String),
    /// It is finished, and there is nothing to replay.
    NoResponse,
    /// Its cart is not here.
    NoCart,
    /// Its cart cannot be paid: no customer, no item or no payment session.
    NotPayable,
    /// Its payment is authorized, and is not here.
    NoPayment,
    /// It is here, and did not come to its end. The server goes on with it.
    Failed(String),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPoint(point) => write!(f, "stands at the unknown recovery point `{point}`"),
            Self::NoResponse => f.write_str("is finished without a response"),
            Self::NoCart => f.write_str("its cart is not in medusa_carts"),
            Self::NotPayable => f.write_str("its cart has no customer, no item or no payment session"),
            Self::NoPayment => f.write_str("its payment is authorized, and not in medusa_payments"),
            Self::Failed(why) => write!(f, "is taken over, and not finished: {why}"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  replayable  {}", self.replayable)?;
        writeln!(f, "  finished    {}", self.finished)?;
        writeln!(f, "  were here   {}", self.there)?;
        writeln!(f, "  others      {}", self.others)?;
        write!(f, "  left alone  {}", self.left.len())?;
        for (key, why) in &self.left {
            write!(f, "\n    {key}  {why}")?;
        }
        Ok(())
    }
}

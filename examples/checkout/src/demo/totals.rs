//! The sums, read again from the file, the database and the ledger: three witnesses, no counter of ours.

use std::collections::HashSet;
use std::path::Path;

use workflow_sqlite::Sqlite;

use super::say::Say;
use crate::failure::Failure;
use crate::figures::{dollars, grouped};
use crate::ledger::{self, Outcome};
use crate::purchase::{self, Purchase};
use crate::shop::{ShopSql, ShopStore};

/// What the three say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Totals {
    /// Purchases of the file.
    pub(super) file: Sum,
    /// Placed orders of the database.
    pub(super) orders: Sum,
    /// Charges of the ledger.
    pub(super) charges: Sum,
    /// Refunds of the ledger.
    pub(super) refunds: i64,
    /// Lines of the ledger that took money, which must be as many as there are charges.
    captures: i64,
}

/// How many, and how much.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: i64,
    pub(super) cents: i64,
}

impl Totals {
    pub(super) async fn read(purchases: &[Purchase], store: &Sqlite, ledger: &Path) -> Result<Self, Failure> {
        let orders = store.reader().await?.totals().await?;
        let file = Sum { count: count(purchases.len()), cents: purchase::total(purchases) };
        let mut totals = Self {
            file,
            orders: Sum { count: orders.orders, cents: orders.amount },
            charges: Sum::default(),
            refunds: 0,
            captures: 0,
        };
        totals.read_ledger(ledger).map_err(|source| Failure::File {
            path: ledger.to_owned(),
            doing: "cannot be read as a ledger",
            source,
        })?;
        Ok(totals)
    }

    fn read_ledger(&mut self, path: &Path) -> std::io::Result<()> {
        let mut charges = HashSet::new();
        for line in ledger::lines(path)? {
            let line = line?;
            match line.outcome {
                Outcome::Captured => {
                    self.captures += 1;
                    self.charges.cents += line.amount;
                    charges.extend(line.charge_id);
                }
                Outcome::Refunded => self.refunds += 1,
                Outcome::Replayed | Outcome::Declined => {}
            }
        }
        self.charges.count = count(charges.len());
        Ok(())
    }

    pub(super) fn show(&self, say: Say) {
        say.line(&format!("  {:22} {:>8}  {:>14}", "", "count", "dollars"));
        for (what, sum) in [
            ("purchases in the file", self.file),
            ("orders placed", self.orders),
            ("charges in the ledger", self.charges),
        ] {
            say.line(&format!("  {what:22} {:>8}  {:>14}", grouped(sum.count), dollars(sum.cents)));
        }
        say.line(&format!("  {:22} {:>8}", "refunds in the ledger", grouped(self.refunds)));
    }

    /// Fails unless all three agree.
    pub(super) fn agree(&self) -> Result<(), Failure> {
        let alike = self.file == self.orders && self.file == self.charges;
        if alike && self.captures == self.charges.count && self.refunds == 0 {
            return Ok(());
        }
        Err(Failure::Disagree(format!("file, orders and ledger do not agree: {self:?}")))
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

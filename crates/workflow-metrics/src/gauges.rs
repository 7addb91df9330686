//! What the database says: how many keys are not finished, and where they stand.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use metrics::gauge;
use workflow::{Error, Runner, Store};

use crate::{Metrics, names};

impl Metrics {
    /// Sets the gauges from the runner's database: call it before each scrape. It reads what is not finished or not
    /// delivered, by two statements, and nothing else. A point that has no key any more is set to 0.
    ///
    /// # Errors
    /// [`Error::Store`]: the gauges stay as they were.
    ///
    /// # Cancel safety
    /// Dropped, it has set all gauges or none.
    pub async fn gauges<S: Store, A: Send + Sync + 'static>(
        &self,
        runner: &Runner<S, A>,
    ) -> Result<(), Error> {
        let (census, backlog) = (runner.census().await?, runner.backlog().await?);
        // Locked until all are set: of two scrapes at once, neither sets to 0 what the other has found.
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = BTreeSet::new();
        for count in census {
            unfinished(&count.workflow, &count.recovery_point).set(whole(count.keys));
            found.insert((count.workflow, count.recovery_point));
        }
        for (workflow, recovery_point) in standing.difference(&found) {
            unfinished(workflow, recovery_point).set(0.0);
        }
        *standing = found;
        gauge!(names::OLDEST_UNFINISHED_SECONDS).set(backlog.oldest.unwrap_or_default());
        gauge!(names::NEEDS_ATTENTION).set(whole(backlog.needs_attention));
        gauge!(names::OUTBOX_PENDING).set(whole(backlog.outbox));
        Ok(())
    }
}

fn unfinished(workflow: &str, recovery_point: &str) -> metrics::Gauge {
    let (workflow, recovery_point) = (workflow.to_owned(), recovery_point.to_owned());
    gauge!(names::UNFINISHED, "workflow" => workflow, "recovery_point" => recovery_point)
}

/// Exact up to four thousand million keys.
fn whole(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

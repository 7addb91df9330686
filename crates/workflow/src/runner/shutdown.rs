//! The end of a runner: its runs end after the step that they are in, and give their keys back.
//!
//! What if the process dies before that? Its leases run out, and whoever claims its keys then goes on where they stand.

use std::time::Duration;

use crate::Store;

use super::Runner;

impl<S: Store, A: Send + Sync + 'static> Runner<S, A> {
    /// Shuts down: from now on no key is claimed, no run begins another step, and a run that pauses before its next attempt
    /// leaves its key `waiting`. A step that is under way is finished, its point is committed, and then the lease is given
    /// back: another process goes on at once. Finished keys are still replayed. What is refused so is
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    ///
    /// Returns as soon as no run of this runner holds a lease, or when the deadline is over: whether none does. Those that do
    /// then run on until their step ends or the process does, and in that case their leases run out by themselves. There is
    /// no way back: a runner that was shut down stays so, its clones too.
    ///
    /// Let it come after the last request was taken, and before the runtime is dropped. The idea is any job queue's drain.
    ///
    /// # Cancel safety
    /// Dropped, it waits no longer; the shutdown goes on.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.0.registry.stop();
        tokio::time::timeout(deadline, self.0.registry.idle()).await.is_ok()
    }
}

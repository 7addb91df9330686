//! The factory: all that the suite needs to know of a store beyond the trait.

use std::future::Future;

use uuid::Uuid;
use workflow::{BoxError, Clock, StagedJob, Store};

/// Makes stores for the conformance suite. Each case has a factory of its own, which may own what its databases live
/// in. What a method cannot return as an error, it may panic about: that fails the case.
pub trait Factory: Clone + Send + Sync + 'static {
    /// The store under test.
    type Store: Store;

    /// A store on an empty database, another one each time, not migrated. The application's own table, where
    /// [`note`](Self::note) writes, is there already.
    fn blank(&self) -> impl Future<Output = Self::Store> + Send;

    /// Migrates the store's database.
    fn migrate(&self, store: &Self::Store) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Checks that the store's database is migrated, and changes nothing.
    fn verify(&self, store: &Self::Store) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// A migrated store without a key, a job or a note.
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send {
        async {
            let store = self.blank().await;
            self.migrate(&store).await.expect("the migrations of a blank database");
            store
        }
    }

    /// What another process would have: a second handle with connections of its own, on the same database and by
    /// the same [`Clock`].
    fn reopen(&self, store: &Self::Store) -> impl Future<Output = Self::Store> + Send;

    /// The clock that the store adds to the database's time.
    fn clock(&self, store: &Self::Store) -> Clock;

    /// Writes a row of the application inside a step's transaction.
    fn note(
        &self,
        conn: &mut <Self::Store as Store>::Conn,
        text: &str,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// The application's rows that are committed, in any order.
    fn notes(&self, store: &Self::Store) -> impl Future<Output = Vec<String>> + Send;

    /// The staged jobs that are committed, in any order, the delivered ones included.
    fn staged(&self, store: &Self::Store) -> impl Future<Output = Vec<StagedJob>> + Send;

    /// Marks this job as delivered, as a relay does.
    fn deliver(&self, store: &Self::Store, message_id: Uuid) -> impl Future<Output = ()> + Send;
}

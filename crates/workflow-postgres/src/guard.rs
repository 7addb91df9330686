//! A guard for a pool that an application shares with its other code.

use sqlx::Executor;
use sqlx::postgres::PgPoolOptions;

/// Lets no connection back into the pool with an open transaction.
///
/// In sqlx 0.9.0 a `pool.begin()` whose future is dropped while `BEGIN` is under way (a client hangs up, a time-out
/// strikes) leaves a connection with an open transaction in the pool; what is done on it next is never committed.
/// The store itself begins so that this cannot happen to it. Give the options of a pool that other code begins
/// transactions on to this function: a `ROLLBACK` is sent whenever a connection comes back. It replaces an
/// `after_release` hook of your own.
///
/// ```no_run
/// # async fn f() -> Result<(), sqlx::Error> {
/// use sqlx::postgres::PgPoolOptions;
/// let pool = workflow_postgres::guarded(PgPoolOptions::new()).connect("postgres://localhost/shop").await?;
/// # Ok(()) }
/// ```
pub fn guarded(options: PgPoolOptions) -> PgPoolOptions {
    options.after_release(|conn, _| Box::pin(async move { conn.execute("ROLLBACK").await.map(|_| true) }))
}

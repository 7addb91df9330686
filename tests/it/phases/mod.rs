//! Phases: which steps share a commit, and what becomes of the others when one of them fails.

mod batches;
mod commits;
mod failures;
mod faults;
mod shop;
pub(crate) mod stage;
mod wire;

/// One test a case and store: Memory, SQLite, PostgreSQL.
macro_rules! everywhere {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::phases::stage::open::<workflow_testkit::Memory>().await).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::phases::stage::open::<workflow_sqlite::Sqlite>().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::phases::stage::open::<workflow_postgres::Postgres>().await).await;
            })+
        }
    };
}
pub(crate) use everywhere;

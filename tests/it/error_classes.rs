//! What PostgreSQL says, by what a caller can do about it: each code is raised by the database itself.

use sqlx::AssertSqlSafe;
use workflow::seam::{Failure, Lease, Then};
use workflow::{Store, StoreError};

use crate::databases;
use crate::other_builds::new_key;

#[tokio::test]
async fn codes_of_postgres_are_passing_in_doubt_or_refused() {
    let (_database, store, _) = databases::postgres_store().await;
    let new = new_key("k");
    store.insert(&new).await.unwrap().unwrap();
    let codes = [
        // A pooler has lost a prepared statement; a time-out; a lock; a conflict; a full disk.
        ("26000", "away"),
        ("25P04", "away"),
        ("25P03", "away"),
        ("55P03", "away"),
        ("40001", "away"),
        ("53100", "away"),
        // Statement completion unknown; the connection failed; the server is going.
        ("40003", "in doubt"),
        ("08006", "in doubt"),
        ("57P01", "in doubt"),
        ("23505", "refused"),
        ("42P01", "refused"),
    ];
    for (code, class) in codes {
        let raise = format!(
            "CREATE OR REPLACE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE 'as the test wants it' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER raise BEFORE UPDATE ON workflow_idempotency_keys
                FOR EACH ROW EXECUTE FUNCTION raise()"
        );
        sqlx::raw_sql(AssertSqlSafe(raise)).execute(store.pool()).await.unwrap();
        let failure =
            Failure { seq: 1, step: "pay", attempt: 1, error: "away", in_doubt: false, cancelled: false };
        let answer = store.fail(Lease { id: new.id, fence: 1 }, failure, Then::Stay).await;
        let found = match &answer {
            Err(StoreError::Away { .. }) => "away",
            Err(StoreError::InDoubt { .. }) => "in doubt",
            Err(StoreError::Refused { .. }) => "refused",
            _ => "nothing",
        };
        assert_eq!(found, class, "{code}: {answer:?}");
    }
}

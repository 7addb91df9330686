//! The book of all charges: a table in the file of the idempotency keys.

use sqlx::SqlitePool;
use sqlx::types::Json;
use uuid::Uuid;
use workflow_axum::EffectKey;

use crate::account::Account;
use crate::charge::Charge;
use crate::order::Order;

/// The unique effect key is what makes a charge happen once, though the handler may be called twice.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS charges (
        id TEXT PRIMARY KEY,
        effect_key TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        currency TEXT NOT NULL,
        source TEXT NOT NULL,
        description TEXT,
        metadata TEXT NOT NULL,
        created INTEGER NOT NULL DEFAULT (unixepoch())
    ) STRICT";

/// All charges.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pool: SqlitePool,
}

impl Book {
    pub(crate) async fn open(pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(pool).await?;
        Ok(Self { pool: pool.clone() })
    }

    /// Charges, unless it has been charged under this effect key: by a process that died before anybody heard of it.
    pub(crate) async fn charge(
        &self,
        account: &Account,
        EffectKey(effect_key): EffectKey,
        order: &Order,
    ) -> Result<Charge, sqlx::Error> {
        let insert = sqlx::query(
            "INSERT INTO charges (id, effect_key, account, amount, currency, source, description, metadata)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (effect_key) DO NOTHING",
        );
        insert
            .bind(format!("ch_{}", Uuid::new_v4().simple()))
            .bind(effect_key.to_string())
            .bind(&account.0)
            .bind(order.amount)
            .bind(&order.currency)
            .bind(&order.source)
            .bind(&order.description)
            .bind(Json(&order.metadata))
            .execute(&self.pool)
            .await?;
        let charged = sqlx::query_as("SELECT * FROM charges WHERE effect_key = $1");
        charged.bind(effect_key.to_string()).fetch_one(&self.pool).await
    }

    /// The charge of this account with this id.
    pub(crate) async fn find(&self, account: &Account, id: &str) -> Result<Option<Charge>, sqlx::Error> {
        let found = sqlx::query_as("SELECT * FROM charges WHERE id = $1 AND account = $2");
        found.bind(id).bind(&account.0).fetch_optional(&self.pool).await
    }

    /// How many there are, of all accounts.
    pub(crate) async fn count(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM charges").fetch_one(&self.pool).await
    }
}

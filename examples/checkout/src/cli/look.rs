//! `checkout audit`, `orders`, `outbox`, `stock`: they only look.

use std::io::{BufWriter, StdoutLock, Write, stdout};

use checkout::{
    AnyStore, Database, Failure, Migration, Secret, ShopStore, secret_keys, write_audit, write_orders,
    write_outbox, write_stock,
};
use clap::Args;

#[derive(Args)]
pub(crate) struct Look {
    /// The only format there is; taken for the sake of scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    migration: Migration,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    secret: Secret,
}

impl Look {
    async fn store(&self) -> Result<AnyStore, Failure> {
        let _ = self.json;
        AnyStore::open(&self.database, &self.migration).await
    }

    pub(crate) async fn orders(self) -> Result<(), Failure> {
        let mut out = out();
        match self.store().await? {
            AnyStore::Sqlite(store) => write_orders(store, &mut out).await?,
            AnyStore::Postgres(store) => write_orders(store, &mut out).await?,
        }
        Ok(out.flush()?)
    }

    pub(crate) async fn outbox(self) -> Result<(), Failure> {
        let mut out = out();
        match self.store().await? {
            AnyStore::Sqlite(store) => write_outbox(store, &mut out).await?,
            AnyStore::Postgres(store) => write_outbox(store, &mut out).await?,
        }
        Ok(out.flush()?)
    }

    pub(crate) async fn stock(self) -> Result<(), Failure> {
        let mut out = out();
        match self.store().await? {
            AnyStore::Sqlite(store) => write_stock(store, &mut out).await?,
            AnyStore::Postgres(store) => write_stock(store, &mut out).await?,
        }
        Ok(out.flush()?)
    }
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.look.store().await? {
            AnyStore::Sqlite(store) => self.write(store).await,
            AnyStore::Postgres(store) => self.write(store).await,
        }
    }

    async fn write<S: ShopStore>(&self, store: S) -> Result<(), Failure> {
        let keys = secret_keys(&store, &self.look.database, &self.secret).await?;
        let mut out = out();
        write_audit(store, &keys, &mut out).await?;
        Ok(out.flush()?)
    }
}

fn out() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(stdout().lock())
}

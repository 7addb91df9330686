//! A connection of either database: one text of SQL for both, since `$1` is understood by both.

use std::future::Future;

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::schema::{POSTGRES, SQLITE};

/// A value of a statement.
#[derive(Debug, Clone)]
pub enum Arg {
    /// A text, or none.
    Text(Option<String>),
    /// A number, or none.
    Int(Option<i64>),
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&Option<String>> for Arg {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// The values of a statement, in the order of their numbers.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Arg::from($value)),*] };
}
pub(crate) use args;

/// A row that can be read from either database: a tuple of texts and numbers.
pub trait AnyRow: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> AnyRow for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// What the shop asks of a connection. All its statements are written once, over this.
pub trait Sql: Send + Sized + 'static {
    /// Runs a statement: how many rows it has touched.
    fn execute(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;

    /// The rows of a statement.
    fn rows<T: AnyRow>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> impl Future<Output = sqlx::Result<Vec<T>>> + Send;

    /// The first row of a statement.
    fn row<T: AnyRow>(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> impl Future<Output = sqlx::Result<Option<T>>> + Send {
        async move { Ok(self.rows(sql, args).await?.into_iter().next()) }
    }

    /// Creates the tables that are not there, one process at a time. Inside a transaction.
    fn create_tables(&mut self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

macro_rules! sql {
    ($connection:ty, $dialect:expr) => {
        impl Sql for $connection {
            async fn execute(&mut self, sql: &'static str, args: Vec<Arg>) -> sqlx::Result<u64> {
                let mut query = sqlx::query(sql);
                for arg in args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Int(number) => query.bind(number),
                    };
                }
                Ok(query.execute(self).await?.rows_affected())
            }

            async fn rows<T: AnyRow>(&mut self, sql: &'static str, args: Vec<Arg>) -> sqlx::Result<Vec<T>> {
                let mut query = sqlx::query_as(sql);
                for arg in args {
                    query = match arg {
                        Arg::Text(text) => query.bind(text),
                        Arg::Int(number) => query.bind(number),
                    };
                }
                query.fetch_all(self).await
            }

            async fn create_tables(&mut self) -> sqlx::Result<()> {
                sqlx::query($dialect.lock).execute(&mut *self).await?;
                sqlx::raw_sql($dialect.tables).execute(self).await.map(drop)
            }
        }
    };
}

sql!(sqlx::SqliteConnection, SQLITE);
sql!(sqlx::PgConnection, POSTGRES);

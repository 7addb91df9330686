//! Medusa's own table, as it is read.

use serde_json::Value;
use workflow::Response;

use crate::sql::{Sql, args};

/// In the order of the keys, which are unique.
const PAGE: &str = "
    SELECT idempotency_key, request_path, CAST(request_params AS text), recovery_point,
        CAST(response_code AS bigint), CAST(response_body AS text)
    FROM idempotency_key WHERE idempotency_key > $1 ORDER BY idempotency_key LIMIT 100";

type Columns = (String, Option<String>, Option<String>, String, Option<i64>, Option<String>);

/// A row.
pub(super) struct Row {
    pub(super) key: String,
    pub(super) path: Option<String>,
    pub(super) recovery_point: String,
    params: Value,
    code: Option<i64>,
    body: Option<String>,
}

impl Row {
    /// The cart of the path's parameters, or, of a hook, of what it has noted.
    pub(super) fn cart_id(&self) -> Option<String> {
        let id = self.params.get("id").or_else(|| self.params.get("cart_id"))?;
        id.as_str().filter(|id| !id.is_empty()).map(str::to_owned)
    }

    /// The stored response, its body as it stands there.
    pub(super) fn response(&self) -> Option<Response> {
        let status = u16::try_from(self.code?).ok().filter(|code| (100..=599).contains(code))?;
        Some(Response::with_body(status, "application/json", self.body.clone()?))
    }
}

/// A page of rows after this key.
pub(super) async fn page<C: Sql>(conn: &mut C, after: &str) -> sqlx::Result<Vec<Row>> {
    Ok(conn.rows::<Columns>(PAGE, args![after]).await?.into_iter().map(row).collect())
}

fn row((key, path, params, recovery_point, code, body): Columns) -> Row {
    let params = params.and_then(|params| serde_json::from_str(&params).ok()).unwrap_or_default();
    Row { key, path, recovery_point, params, code, body }
}

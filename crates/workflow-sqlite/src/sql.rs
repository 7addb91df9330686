//! All statements. `{prefix}` and `{now}` are filled in once, in `names.rs`; `$1` is the clock's offset wherever
//! `{now}` stands. The Postgres store has the same file, statement by statement.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        pub(crate) struct Sql { $($(#[$doc])* pub(crate) $name: &'static str,)+ }

        impl Sql {
            pub(crate) fn render(render: impl Fn(&str) -> &'static str) -> Self {
                Self { $($name: render($text),)+ }
            }
        }
    };
}

statements! {
    insert = "
        INSERT INTO {prefix}idempotency_keys (
            id, scope, idempotency_key, workflow, version, digest, digest_version, effect_seed, generation,
            request_method, request_path, request_params, claim_id, recovery_point, status, fence, attempts,
            step_attempts, created_at, locked_at, last_run_at, first_attempt_at, lease_expires_at)
        SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'started', 'running', 1, 1,
            1, {now}, {now}, {now}, {now}, {now} + $15
        WHERE true
        ON CONFLICT (scope, idempotency_key) DO NOTHING
        RETURNING first_attempt_at";

    /// The compare-and-set. Free is: no live lease, or our own claim whose reply was lost. The same claim is the same
    /// holder: it keeps its fence, so that a late duplicate throws nobody out. What a later build may write into
    /// `status`, this one cannot drive.
    take = "
        UPDATE {prefix}idempotency_keys SET
            fence = fence + (claim_id <> $5),
            attempts = attempts + (claim_id <> $5),
            step_attempts = step_attempts + (claim_id <> $5),
            claim_id = $5,
            locked_at = {now},
            last_run_at = {now},
            first_attempt_at = coalesce(first_attempt_at, {now}),
            lease_expires_at = {now} + $8
        WHERE scope = $2 AND idempotency_key = $3 AND workflow = $4
            AND ($6 IS NULL OR digest = $6)
            AND recovery_point IN (SELECT value FROM json_each($7))
            AND status = 'running'
            AND (lease_expires_at IS NULL OR lease_expires_at <= {now} OR claim_id = $5)
        RETURNING id, fence, recovery_point, request_params, effect_seed, step_attempts, first_attempt_at";

    /// The data to go on with. A statement of its own, after the row is ours: a subquery of `take` would read what was
    /// there before `take` waited for the row.
    reached = "
        SELECT seq, name, data FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq DESC LIMIT 1";

    find = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left
        FROM {prefix}idempotency_keys WHERE scope = $2 AND idempotency_key = $3";

    list = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left
        FROM {prefix}idempotency_keys
        WHERE ($2 IS NULL OR scope = $2) AND ($3 IS NULL OR workflow = $3) AND ($4 IS NULL OR status = $4)
            AND ($5 IS NULL OR recovery_point = $5) AND ($6 IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// The same for a status that is not `finished`: by the index of the unfinished.
    list_unfinished = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left
        FROM {prefix}idempotency_keys
        WHERE ($2 IS NULL OR scope = $2) AND ($3 IS NULL OR workflow = $3)
            AND finished_at IS NULL AND status = $4
            AND ($5 IS NULL OR recovery_point = $5) AND ($6 IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// Both belts: the fence and the previous point. The new point's own row is `point`.
    advance = "
        UPDATE {prefix}idempotency_keys SET
            recovery_point = $5, lease_expires_at = {now} + $6, attempts = 1, step_attempts = 1,
            first_attempt_at = {now}, last_error = NULL
        WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running'
        RETURNING first_attempt_at";

    /// The same guards; the lease is given back.
    finish = "
        UPDATE {prefix}idempotency_keys SET
            recovery_point = 'finished', status = 'finished', response_code = $5, response_headers = $6,
            response_body = $7, finished_at = {now}, expires_at = {now} + $8, lease_expires_at = NULL,
            locked_at = NULL, attempts = 1, step_attempts = 0, first_attempt_at = NULL, last_error = NULL
        WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running'
        RETURNING finished_at";

    point = "
        INSERT INTO {prefix}recovery_points
            (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

    stage = "
        INSERT INTO {prefix}staged_jobs (message_id, key_id, kind, payload, staged_at)
        VALUES ($2, $3, $4, $5, {now})";

    /// A released row is not leased again: a late duplicate would lock everybody out.
    begin_attempt = "
        UPDATE {prefix}idempotency_keys SET step_attempts = step_attempts + 1, lease_expires_at = {now} + $4
        WHERE id = $2 AND fence = $3 AND status = 'running' AND lease_expires_at IS NOT NULL";

    /// A second release of the same lease does nothing.
    release = "
        UPDATE {prefix}idempotency_keys SET
            lease_expires_at = NULL, locked_at = NULL, attempts = max(attempts - 1, 0), last_error = $3
        WHERE id = $1 AND fence = $2 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL";

    /// Inside a write transaction: whoever was about to commit has done so.
    settle = "
        SELECT fence, status, recovery_point, first_attempt_at FROM {prefix}idempotency_keys WHERE id = $1";

    heartbeat = "
        UPDATE {prefix}idempotency_keys SET lease_expires_at = {now} + $2
        WHERE id = $3 AND fence = $4 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL";

    journal = "
        SELECT key_id, seq, name, step, attempts, first_attempt_at, reached_at, fence
        FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq";

    census = "
        SELECT workflow, recovery_point, count(*) AS keys FROM {prefix}idempotency_keys
        WHERE finished_at IS NULL GROUP BY workflow, recovery_point ORDER BY workflow, recovery_point";
}

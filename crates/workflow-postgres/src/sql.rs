//! All statements. `{prefix}` and `{now}` are filled in once, in `names.rs`; `$1` is the clock's offset wherever
//! `{now}` stands. The SQLite store has the same file, statement by statement.
//!
//! Arrays become rows by one `unnest` a column in a select list, which goes through them side by side. `unnest` of many
//! arrays at once stores each of them first. No other function stands beside them: the planner takes
//! arrays for short, and others for long, and would read the whole table first.

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
    /// Where no tombstone stands in its way: one is found by a look into an index that is nearly always empty.
    insert = "
        INSERT INTO {prefix}idempotency_keys (
            id, scope, idempotency_key, workflow, version, digest, digest_version, effect_seed, generation,
            request_method, request_path, request_params, claim_id, recovery_point, status, fence, attempts,
            step_attempts, created_at, locked_at, last_run_at, first_attempt_at, lease_expires_at)
        SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'started', 'running', 1, 1,
            1, t, t, t, t, t + $15
        FROM (SELECT {now} AS t) AS clock
        WHERE coalesce((SELECT generation FROM {prefix}tombstones WHERE scope = $3 AND key_hash = $16), -1) < $10
        ON CONFLICT (scope, idempotency_key) DO NOTHING
        RETURNING first_attempt_at";

    /// Many keys at once. It meets the index in the order of the arrays.
    insert_batch = "
        INSERT INTO {prefix}idempotency_keys (
            id, scope, idempotency_key, workflow, version, digest, digest_version, effect_seed, generation,
            request_method, request_path, request_params, claim_id, recovery_point, status, fence, attempts,
            step_attempts, created_at, locked_at, last_run_at, first_attempt_at, lease_expires_at)
        SELECT a.id, a.scope, a.value, a.workflow, a.version, a.digest, a.digest_version, a.effect_seed, a.generation,
            a.method, a.path, a.params, a.claim_id, 'started', 'running', 1, 1,
            1, t, t, t, t, t + a.ttl * interval '1 microsecond'
        FROM (SELECT {now} AS t) AS clock, (
            SELECT unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::int4[]),
                unnest($7::bytea[]), unnest($8::int2[]), unnest($9::bytea[]), unnest($10::int4[]), unnest($11::text[]),
                unnest($12::text[]), unnest($13::bytea[]), unnest($14::uuid[]), unnest($15::int8[]),
                unnest($16::bytea[])
            ) AS a (id, scope, value, workflow, version, digest, digest_version, effect_seed, generation, method, path,
                params, claim_id, ttl, key_hash)
        WHERE coalesce((SELECT b.generation FROM {prefix}tombstones AS b
            WHERE b.scope = a.scope AND b.key_hash = a.key_hash), -1) < a.generation
        ON CONFLICT (scope, idempotency_key) DO NOTHING
        RETURNING id, first_attempt_at";

    /// What an insert is refused by.
    buried = "SELECT generation FROM {prefix}tombstones WHERE scope = $1 AND key_hash = $2";

    /// The compare-and-set. Free is: no live lease, or our own claim whose reply was lost. The same claim is the same
    /// holder: it keeps its fence, so that a late duplicate throws nobody out. What a later build may write into
    /// `status`, this one cannot drive.
    take = "
        UPDATE {prefix}idempotency_keys SET
            fence = fence + (claim_id <> $5)::int,
            attempts = attempts + (claim_id <> $5)::int,
            step_attempts = step_attempts + (claim_id <> $5)::int,
            claim_id = $5,
            locked_at = t,
            last_run_at = t,
            first_attempt_at = coalesce(first_attempt_at, t),
            lease_expires_at = t + $8,
            status = CASE WHEN status = 'waiting' THEN 'running' ELSE status END,
            wake_at = NULL
        FROM (SELECT {now} AS t) AS clock
        WHERE scope = $2 AND idempotency_key = $3 AND workflow = $4
            AND ($6::bytea IS NULL OR digest = $6)
            AND (recovery_point = ANY ($7) OR status = 'undoing')
            AND status IN ('running', 'waiting', 'undoing')
            AND (wake_at IS NULL OR wake_at <= t)
            AND (lease_expires_at IS NULL OR lease_expires_at <= t OR claim_id = $5)
        RETURNING id, fence, recovery_point, request_params, effect_seed, attempts, step_attempts, first_attempt_at,
            created_at, last_run_at AS taken_at, response_code, response_headers, response_body";

    /// The data to go on with. A statement of its own, after the row is ours: a subquery of `take` would read what was
    /// there before `take` waited for the row.
    reached = "
        SELECT seq, name, data FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq DESC LIMIT 1";

    /// Of how many attempts to reach a point it is known that they have done nothing.
    known_failures = "
        SELECT count(*)::int4 FROM {prefix}failed_attempts WHERE key_id = $1 AND seq = $2 AND NOT in_doubt";

    find = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(greatest(extract(epoch FROM lease_expires_at - {now}) * 1000000, 0), 0)::int8 AS lease_left,
            coalesce(greatest(extract(epoch FROM wake_at - {now}) * 1000000, 0), 0)::int8 AS wake_left
        FROM {prefix}idempotency_keys WHERE scope = $2 AND idempotency_key = $3";

    list = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(greatest(extract(epoch FROM lease_expires_at - {now}) * 1000000, 0), 0)::int8 AS lease_left,
            coalesce(greatest(extract(epoch FROM wake_at - {now}) * 1000000, 0), 0)::int8 AS wake_left
        FROM {prefix}idempotency_keys
        WHERE ($2::text IS NULL OR scope = $2) AND ($3::text IS NULL OR workflow = $3)
            AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR recovery_point = $5)
            AND ($6::uuid IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// The same for a status that is not `finished`: by the index of the unfinished.
    list_unfinished = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(greatest(extract(epoch FROM lease_expires_at - {now}) * 1000000, 0), 0)::int8 AS lease_left,
            coalesce(greatest(extract(epoch FROM wake_at - {now}) * 1000000, 0), 0)::int8 AS wake_left
        FROM {prefix}idempotency_keys
        WHERE ($2::text IS NULL OR scope = $2) AND ($3::text IS NULL OR workflow = $3)
            AND finished_at IS NULL AND status = $4 AND ($5::text IS NULL OR recovery_point = $5)
            AND ($6::uuid IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// Both belts: the fence and the previous point; and no cancel. The new point's own row is written by the same
    /// statement.
    advance = "
        WITH clock AS MATERIALIZED (SELECT {now} AS t), moved AS (
            UPDATE {prefix}idempotency_keys SET
                recovery_point = $5, lease_expires_at = t + $6, attempts = 1, step_attempts = 1,
                first_attempt_at = t, last_error = NULL
            FROM clock WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running'
                AND cancel_requested_at IS NULL
            RETURNING id, t
        ), point AS (
            INSERT INTO {prefix}recovery_points
                (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
            SELECT id, $7, $5, $8, $9, $10, coalesce($11, t), t, $3 FROM moved
        )
        SELECT t FROM moved";

    /// The same guards; the lease is given back. The key's own row is the row of this point.
    finish = "
        UPDATE {prefix}idempotency_keys SET
            recovery_point = 'finished', status = 'finished', response_code = $5, response_headers = $6,
            response_body = $7, finished_at = t, expires_at = t + $8, lease_expires_at = NULL, locked_at = NULL,
            attempts = 1, finished_by = $9, step_attempts = $10, first_attempt_at = coalesce($11, t),
            last_error = NULL
        FROM (SELECT {now} AS t) AS clock
        WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running' AND cancel_requested_at IS NULL
        RETURNING t";

    /// Many keys, each by one point or to its response (where there is a code). It takes the rows as the arrays have
    /// them.
    advance_batch = "
        WITH clock AS MATERIALIZED (SELECT {now} AS t), moved AS (
            UPDATE {prefix}idempotency_keys AS k SET
                recovery_point = a.name,
                status = CASE WHEN a.code IS NULL THEN 'running' ELSE 'finished' END,
                response_code = a.code, response_headers = a.headers, response_body = a.body,
                finished_at = CASE WHEN a.code IS NOT NULL THEN t END,
                expires_at = CASE WHEN a.code IS NOT NULL THEN t + a.kept * interval '1 microsecond' END,
                lease_expires_at = CASE WHEN a.code IS NULL THEN t + a.ttl * interval '1 microsecond' END,
                locked_at = CASE WHEN a.code IS NULL THEN k.locked_at END,
                attempts = 1,
                step_attempts = CASE WHEN a.code IS NULL THEN 1 ELSE a.attempts END,
                first_attempt_at = CASE WHEN a.code IS NULL THEN t ELSE coalesce(a.first_attempt_at, t) END,
                finished_by = CASE WHEN a.code IS NOT NULL THEN a.step END,
                last_error = NULL
            FROM clock, (
                SELECT unnest($2::uuid[]), unnest($3::int8[]), unnest($4::text[]), unnest($5::text[]),
                    unnest($6::int8[]), unnest($7::int4[]), unnest($8::bytea[]), unnest($9::text[]),
                    unnest($10::int4[]), unnest($11::timestamptz[]), unnest($12::int4[]), unnest($13::bytea[]),
                    unnest($14::bytea[]), unnest($15::int8[]), unnest($16::int4[])
                ) AS a (id, fence, prev, name, ttl, seq, data, step, attempts, first_attempt_at, code, headers, body,
                    kept, n)
            WHERE k.id = a.id AND k.fence = a.fence AND k.recovery_point = a.prev AND k.status = 'running'
                AND k.cancel_requested_at IS NULL
            RETURNING k.id, a.fence, a.name, a.seq, a.data, a.step, a.attempts, a.first_attempt_at, a.code, a.n, t
        ), point AS (
            INSERT INTO {prefix}recovery_points
                (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
            SELECT id, seq, name, data, step, attempts, coalesce(first_attempt_at, t), t, fence FROM moved
            WHERE code IS NULL
        )
        SELECT n, t FROM moved";

    /// One key by several points inside the steps' transaction, which must still be the one that `Tx::begin` has
    /// marked.
    walk = "
        WITH clock AS MATERIALIZED (SELECT {now} AS t), moved AS (
            UPDATE {prefix}idempotency_keys SET
                recovery_point = $5,
                status = CASE WHEN $7::int4 IS NULL THEN status ELSE 'finished' END,
                response_code = coalesce($7, response_code), response_headers = coalesce($8, response_headers),
                response_body = coalesce($9, response_body),
                finished_at = CASE WHEN $7::int4 IS NOT NULL THEN t END,
                expires_at = CASE WHEN $7::int4 IS NOT NULL THEN t + $10 END,
                lease_expires_at = CASE WHEN $7::int4 IS NULL THEN t + $6 END,
                locked_at = CASE WHEN $7::int4 IS NULL THEN locked_at END,
                attempts = 1,
                finished_by = $11,
                step_attempts = CASE WHEN $7::int4 IS NULL THEN 1 ELSE $12 END,
                first_attempt_at = CASE WHEN $7::int4 IS NULL THEN t ELSE coalesce($13, t) END,
                last_error = NULL
            FROM clock WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = $20
                AND (cancel_requested_at IS NULL OR status = 'undoing')
                AND coalesce(current_setting('workflow.open', true), '') = 'yes'
            RETURNING id, t
        ), points AS (
            INSERT INTO {prefix}recovery_points
                (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
            SELECT id, p.seq, p.name, p.data, p.step, p.attempts, coalesce(p.first_attempt_at, t), t, $3
            FROM moved, (
                SELECT unnest($14::int4[]), unnest($15::text[]), unnest($16::bytea[]), unnest($17::text[]),
                    unnest($18::int4[]), unnest($19::timestamptz[])
                ) AS p (seq, name, data, step, attempts, first_attempt_at)
        )
        SELECT t FROM moved";

    /// One key, round: what it has reached is undone from here. The answer that is stored at the end is kept, or is there
    /// already: then the key is cancelled.
    turn = "
        WITH clock AS MATERIALIZED (SELECT {now} AS t), moved AS (
            UPDATE {prefix}idempotency_keys SET
                recovery_point = $5, status = 'undoing', lease_expires_at = t + $6, attempts = 1, step_attempts = 1,
                first_attempt_at = t, last_error = NULL,
                response_code = coalesce($7, response_code), response_headers = coalesce($8, response_headers),
                response_body = coalesce($9, response_body)
            FROM clock WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running'
                AND (cancel_requested_at IS NULL) = ($7::int4 IS NOT NULL)
            RETURNING id, t
        ), points AS (
            INSERT INTO {prefix}recovery_points
                (key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence)
            SELECT id, p.seq, p.name, p.data, p.step, p.attempts, coalesce(p.first_attempt_at, t), t, $3
            FROM moved, (
                SELECT unnest($10::int4[]), unnest($11::text[]), unnest($12::bytea[]), unnest($13::text[]),
                    unnest($14::int4[]), unnest($15::timestamptz[])
                ) AS p (seq, name, data, step, attempts, first_attempt_at)
        )
        SELECT t FROM moved";

    /// The points of a key, with what its undos need.
    points = "
        SELECT seq, name, step, data FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq";

    /// Written with the undo, not by the reaper: an insert that waits for the reaper reads what was there before it.
    bury = "
        INSERT INTO {prefix}tombstones (scope, key_hash, generation, buried_at)
        SELECT scope, $3, generation, {now} FROM {prefix}idempotency_keys WHERE id = $2
        ON CONFLICT (scope, key_hash) DO UPDATE SET
            generation = excluded.generation, buried_at = excluded.buried_at";

    stage = "
        INSERT INTO {prefix}staged_jobs (message_id, key_id, kind, payload, staged_at)
        VALUES ($2, $3, $4, $5, {now})";

    /// A failed attempt, and what comes then. Repeated, it counts no further: the next attempt may be counted already. A
    /// released row is not leased again: a late duplicate would lock everybody out.
    fail = "
        WITH clock AS MATERIALIZED (SELECT {now} AS t), failed AS (
            UPDATE {prefix}idempotency_keys SET
                step_attempts = CASE WHEN $9 = 'again' THEN $5 + 1 ELSE step_attempts END,
                lease_expires_at = CASE $9 WHEN 'again' THEN t + $10 WHEN 'stay' THEN lease_expires_at END,
                locked_at = CASE WHEN $9 IN ('again', 'stay') THEN locked_at END,
                attempts = CASE WHEN $9 IN ('again', 'stay') THEN attempts ELSE greatest(attempts - 1, 0) END,
                status = CASE
                    WHEN $9 = 'park' THEN 'needs_attention'
                    WHEN $9 = 'later' AND status = 'running' THEN 'waiting'
                    ELSE status END,
                wake_at = CASE WHEN $9 = 'later' THEN t + $10 END,
                last_error = $7
            FROM clock
            WHERE id = $2 AND fence = $3 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL
                AND step_attempts BETWEEN $5 AND $5 + 1
                AND ($11 OR status = 'undoing' OR cancel_requested_at IS NULL)
            RETURNING id, t
        ), noted AS (
            INSERT INTO {prefix}failed_attempts (key_id, seq, attempt, fence, step, error, in_doubt, failed_at)
            SELECT id, $4, $5, $3, $6, $7, $8, t FROM failed
            ON CONFLICT DO NOTHING
        )
        SELECT t FROM failed";

    /// A second one keeps the first answer, and wakes the key once more.
    cancel = "
        UPDATE {prefix}idempotency_keys SET
            cancel_requested_at = coalesce(cancel_requested_at, {now}),
            response_code = coalesce(response_code, $6), response_headers = coalesce(response_headers, $7),
            response_body = coalesce(response_body, $8),
            status = 'running', fence = fence + (status <> 'running')::int, wake_at = NULL
        WHERE scope = $2 AND idempotency_key = $3 AND workflow = $4 AND recovery_point = ANY ($5)
            AND status IN ('running', 'waiting', 'needs_attention')";

    /// A key that stands at a point with a dot is being undone.
    unpark = "
        UPDATE {prefix}idempotency_keys SET
            status = CASE WHEN strpos(recovery_point, '.') = 0 THEN 'running' ELSE 'undoing' END,
            fence = fence + 1, wake_at = NULL
        WHERE scope = $1 AND idempotency_key = $2
            AND (status IN ('waiting', 'needs_attention') OR (status = 'undoing' AND wake_at IS NOT NULL))";

    /// A second release of the same lease does nothing.
    release = "
        UPDATE {prefix}idempotency_keys SET
            lease_expires_at = NULL, locked_at = NULL, attempts = greatest(attempts - 1, 0), last_error = $3
        WHERE id = $1 AND fence = $2 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL";

    release_batch = "
        UPDATE {prefix}idempotency_keys AS k SET
            lease_expires_at = NULL, locked_at = NULL, attempts = greatest(k.attempts - 1, 0), last_error = a.error
        FROM (SELECT unnest($1::uuid[]), unnest($2::int8[]), unnest($3::text[])) AS a (id, fence, error)
        WHERE k.id = a.id AND k.fence = a.fence AND k.status IN ('running', 'undoing')
            AND k.lease_expires_at IS NOT NULL";

    /// The lock waits for whoever was about to commit.
    settle = "
        SELECT fence, status, recovery_point, first_attempt_at, response_code, response_headers, response_body
        FROM {prefix}idempotency_keys WHERE id = $1 FOR UPDATE";

    /// Keys with all that is theirs. A key is looked at again when it is locked, and one that another reaper has
    /// locked is his. The clock is a query of its own: once it has been read, the index is read to there and not to
    /// its end. The ids become an array, which the planner takes for short: it asks an index for each.
    reap = "
        WITH over AS MATERIALIZED (
            SELECT k.id FROM {prefix}idempotency_keys AS k
            WHERE k.status = 'finished' AND k.expires_at <= (SELECT {now})
                AND NOT EXISTS (
                    SELECT FROM {prefix}staged_jobs AS j WHERE j.key_id = k.id AND j.delivered_at IS NULL)
            ORDER BY k.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM {prefix}idempotency_keys WHERE id = ANY (ARRAY (SELECT id FROM over))
        ), points AS (
            DELETE FROM {prefix}recovery_points WHERE key_id = ANY (ARRAY (SELECT id FROM over))
        ), failures AS (
            DELETE FROM {prefix}failed_attempts WHERE key_id = ANY (ARRAY (SELECT id FROM over))
        ), jobs AS (
            DELETE FROM {prefix}staged_jobs WHERE key_id = ANY (ARRAY (SELECT id FROM over))
        )
        SELECT count(*) FROM over";

    /// It takes the rows that it can get at once: one that is locked just now is being advanced by its run.
    heartbeat = "
        UPDATE {prefix}idempotency_keys AS held SET lease_expires_at = {now} + $2
        FROM (
            SELECT id FROM {prefix}idempotency_keys
                JOIN unnest($3::uuid[], $4::int8[]) AS mine (id, fence) USING (id, fence)
            WHERE status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ) AS free
        WHERE held.id = free.id
        RETURNING held.id, held.fence, held.cancel_requested_at IS NOT NULL AND held.status = 'running' AS cancelled";

    /// Which leases are still ours: what the heartbeat did not get is lost only if it is not among these.
    held = "
        SELECT id, fence FROM {prefix}idempotency_keys
            JOIN unnest($1::uuid[], $2::int8[]) AS mine (id, fence) USING (id, fence)
        WHERE status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL";

    /// The last point, `finished`, is the key's own row.
    journal = "
        SELECT key_id, seq, name, step, attempts, first_attempt_at, reached_at, fence
        FROM {prefix}recovery_points WHERE key_id = ANY ($1)
        UNION ALL
        SELECT id, 1 + (SELECT count(*)::int4 FROM {prefix}recovery_points WHERE key_id = id), recovery_point,
            finished_by, step_attempts, first_attempt_at, finished_at, fence
        FROM {prefix}idempotency_keys WHERE id = ANY ($1) AND finished_by IS NOT NULL
        ORDER BY key_id, seq";

    failures = "
        SELECT key_id, seq, attempt, fence, step, error, in_doubt, failed_at
        FROM {prefix}failed_attempts WHERE key_id = ANY ($1) ORDER BY key_id, seq, attempt";

    census = "
        SELECT workflow, recovery_point, count(*) AS keys FROM {prefix}idempotency_keys
        WHERE finished_at IS NULL GROUP BY workflow, recovery_point ORDER BY workflow, recovery_point";

    /// Each by a partial index: neither a finished key nor a delivered job is read.
    backlog = "
        SELECT
            (SELECT (extract(epoch FROM {now} - min(created_at)) * 1000000)::int8
                FROM {prefix}idempotency_keys WHERE finished_at IS NULL) AS oldest,
            (SELECT count(*) FROM {prefix}idempotency_keys
                WHERE finished_at IS NULL AND status = 'needs_attention') AS needs_attention,
            (SELECT count(*) FROM {prefix}staged_jobs WHERE delivered_at IS NULL) AS outbox";
}

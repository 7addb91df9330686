//! All statements. `{prefix}` and `{now}` are filled in once, in `names.rs`; `$1` is the clock's offset wherever
//! `{now}` stands. The Postgres store has the same file, statement by statement.
//!
//! What is written in batches is written by triggers: a batch is one `INSERT` of many rows into a view, each row is a
//! write, and the trigger of its kind carries it out. One statement is one commit, with no `BEGIN` that could be left
//! open, and one trip to the connection's thread, however many rows it has. View, triggers and answers are temporary:
//! only a batch's connection has them, and they change nothing in the file.

use workflow::seam::LARGEST_BATCH;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        pub(crate) struct Sql {
            $($(#[$doc])* pub(crate) $name: &'static str,)+
            pub(crate) insert_batch: BySize,
            pub(crate) points: BySize,
        }

        impl Sql {
            pub(crate) fn render(render: impl Fn(&str) -> &'static str) -> Self {
                let insert_batch = BySize::render(INSERT_BATCH, columns(BATCH), &render);
                let points = BySize::render(POINTS, columns(POINT), &render);
                Self { $($name: render(&full($text)),)+ insert_batch, points }
            }
        }
    };
}

/// What a batch's row can hold. Which of it a write has, its kind says; the rest is null.
const BATCH: &str = "place, clock, kind, id, fence, ttl, \
    scope, value, workflow, version, digest, digest_version, effect_seed, generation, request_method, request_path, \
    request_params, claim_id, key_hash, \
    prev, name, seq, data, step, attempts, first_attempt_at, code, headers, body, kept, error";

const INSERT_BATCH: &str = "INSERT INTO workflow_batch VALUES {rows}";

const POINT: &str = "key_id, seq, name, data, step, attempts, first_attempt_at, reached_at, fence";

/// The points of a walk, but for its first.
const POINTS: &str = "
    INSERT INTO {prefix}recovery_points ({point}) SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";

statements! {
    /// What became of the row at a place of the batch: when its write was made, null if its guards matched nothing.
    answers = "CREATE TEMP TABLE workflow_answers (place integer PRIMARY KEY, at integer) STRICT";

    batch = "CREATE TEMP VIEW workflow_batch ({batch}) AS SELECT {nulls}";

    /// Where no tombstone stands in its way: one is found by a look into an index that is nearly always empty.
    insert = "
        CREATE TEMP TRIGGER workflow_insert INSTEAD OF INSERT ON workflow_batch WHEN NEW.kind = 'insert' BEGIN
            INSERT INTO {prefix}idempotency_keys (
                id, scope, idempotency_key, workflow, version, digest, digest_version, effect_seed, generation,
                request_method, request_path, request_params, claim_id, recovery_point, status, fence, attempts,
                step_attempts, created_at, locked_at, last_run_at, first_attempt_at, lease_expires_at)
            SELECT NEW.id, NEW.scope, NEW.value, NEW.workflow, NEW.version, NEW.digest, NEW.digest_version,
                NEW.effect_seed, NEW.generation, NEW.request_method, NEW.request_path, NEW.request_params,
                NEW.claim_id, 'started', 'running', 1, 1,
                1, {row_now}, {row_now}, {row_now}, {row_now}, {row_now} + NEW.ttl
            WHERE coalesce((SELECT generation FROM {prefix}tombstones
                WHERE scope = NEW.scope AND key_hash = NEW.key_hash), -1) < NEW.generation
            ON CONFLICT (scope, idempotency_key) DO NOTHING;
            {answer};
        END";

    /// What an insert is refused by.
    buried = "SELECT generation FROM {prefix}tombstones WHERE scope = $1 AND key_hash = $2";

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
            lease_expires_at = {now} + $8,
            status = iif(status = 'waiting', 'running', status),
            wake_at = NULL
        WHERE scope = $2 AND idempotency_key = $3 AND workflow = $4
            AND ($6 IS NULL OR digest = $6)
            AND (recovery_point IN (SELECT value FROM json_each($7)) OR status = 'undoing')
            AND status IN ('running', 'waiting', 'undoing')
            AND (wake_at IS NULL OR wake_at <= {now})
            AND (lease_expires_at IS NULL OR lease_expires_at <= {now} OR claim_id = $5)
        RETURNING id, fence, recovery_point, request_params, effect_seed, attempts, step_attempts, first_attempt_at,
            created_at, last_run_at AS taken_at, response_code, response_headers, response_body";

    /// The data to go on with. A statement of its own, after the row is ours: a subquery of `take` would read what was
    /// there before `take` waited for the row.
    reached = "
        SELECT seq, name, data FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq DESC LIMIT 1";

    /// Of how many attempts to reach a point it is known that they have done nothing.
    known_failures = "
        SELECT count(*) FROM {prefix}failed_attempts WHERE key_id = $1 AND seq = $2 AND NOT in_doubt";

    find = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left,
            coalesce(max(wake_at - {now}, 0), 0) AS wake_left
        FROM {prefix}idempotency_keys WHERE scope = $2 AND idempotency_key = $3";

    list = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left,
            coalesce(max(wake_at - {now}, 0), 0) AS wake_left
        FROM {prefix}idempotency_keys
        WHERE ($2 IS NULL OR scope = $2) AND ($3 IS NULL OR workflow = $3) AND ($4 IS NULL OR status = $4)
            AND ($5 IS NULL OR recovery_point = $5) AND ($6 IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// The same for a status that is not `finished`: by the index of the unfinished.
    list_unfinished = "
        SELECT id, scope, idempotency_key, workflow, version, digest, status, recovery_point, fence, attempts,
            step_attempts, first_attempt_at, created_at, last_run_at, cancel_requested_at, finished_at, last_error,
            response_code, response_headers, response_body,
            coalesce(max(lease_expires_at - {now}, 0), 0) AS lease_left,
            coalesce(max(wake_at - {now}, 0), 0) AS wake_left
        FROM {prefix}idempotency_keys
        WHERE ($2 IS NULL OR scope = $2) AND ($3 IS NULL OR workflow = $3)
            AND finished_at IS NULL AND status = $4
            AND ($5 IS NULL OR recovery_point = $5) AND ($6 IS NULL OR id > $6)
        ORDER BY id LIMIT $7";

    /// Both belts: the fence and the previous point; and no cancel. The new point's own row only if the key has moved.
    advance = "
        CREATE TEMP TRIGGER workflow_advance INSTEAD OF INSERT ON workflow_batch WHEN NEW.kind = 'advance' BEGIN
            UPDATE {prefix}idempotency_keys SET
                recovery_point = NEW.name, lease_expires_at = {row_now} + NEW.ttl, attempts = 1, step_attempts = 1,
                first_attempt_at = {row_now}, last_error = NULL
            WHERE id = NEW.id AND fence = NEW.fence AND recovery_point = NEW.prev AND status = 'running'
                AND cancel_requested_at IS NULL;
            INSERT INTO {prefix}recovery_points ({point})
            SELECT NEW.id, NEW.seq, NEW.name, NEW.data, NEW.step, NEW.attempts,
                coalesce(NEW.first_attempt_at, {row_now}), {row_now}, NEW.fence
            WHERE changes() = 1;
            {answer};
        END";

    /// The same guards; the lease is given back. The key's own row is the row of this point.
    finish = "
        CREATE TEMP TRIGGER workflow_finish INSTEAD OF INSERT ON workflow_batch WHEN NEW.kind = 'finish' BEGIN
            UPDATE {prefix}idempotency_keys SET
                recovery_point = 'finished', status = 'finished', response_code = NEW.code,
                response_headers = NEW.headers, response_body = NEW.body, finished_at = {row_now},
                expires_at = {row_now} + NEW.kept, lease_expires_at = NULL, locked_at = NULL,
                attempts = 1, finished_by = NEW.step, step_attempts = NEW.attempts,
                first_attempt_at = coalesce(NEW.first_attempt_at, {row_now}), last_error = NULL
            WHERE id = NEW.id AND fence = NEW.fence AND recovery_point = NEW.prev AND status = 'running'
                AND cancel_requested_at IS NULL;
            {answer};
        END";

    /// A batch of one, and its answer.
    insert_one = "
        INSERT INTO workflow_batch VALUES {row} RETURNING (SELECT at FROM workflow_answers WHERE place = 0)";

    /// The answers to so many rows, as a JSON array.
    answered = "SELECT json_group_array(at ORDER BY place) FROM workflow_answers WHERE place < $1";

    /// One move from the first point of a walk to the last, or to the response (where there is a code), and the first
    /// point's own row, where it has one; the others' rows are `points`. In one trip to the connection's thread, and
    /// only if the mark of
    /// the transaction is still there: see `tx.rs`.
    walk = "
        RELEASE workflow;
        UPDATE {prefix}idempotency_keys SET
            recovery_point = $5, status = iif($7 IS NULL, status, 'finished'),
            response_code = coalesce($7, response_code), response_headers = coalesce($8, response_headers),
            response_body = coalesce($9, response_body),
            finished_at = iif($7 IS NULL, NULL, {now}), expires_at = {now} + $10,
            lease_expires_at = iif($7 IS NULL, {now} + $6, NULL), locked_at = iif($7 IS NULL, locked_at, NULL),
            attempts = 1, finished_by = $17, step_attempts = iif($7 IS NULL, 1, $18),
            first_attempt_at = iif($7 IS NULL, {now}, coalesce($19, {now})), last_error = NULL
        WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = $20
            AND (cancel_requested_at IS NULL OR status = 'undoing')
        RETURNING coalesce(finished_at, first_attempt_at);
        INSERT INTO {prefix}recovery_points ({point})
        SELECT id, $11, $12, $13, $14, $15, coalesce($16, finished_at, first_attempt_at),
            coalesce(finished_at, first_attempt_at), fence
        FROM {prefix}idempotency_keys WHERE id = $2 AND changes() = 1 AND $13 IS NOT NULL";

    /// One key, round: what it has reached is undone from here. The answer that is stored at the end is kept, or is there
    /// already: then the key is cancelled.
    turn = "
        UPDATE {prefix}idempotency_keys SET
            recovery_point = $5, status = 'undoing', lease_expires_at = {now} + $6, attempts = 1, step_attempts = 1,
            first_attempt_at = {now}, last_error = NULL,
            response_code = coalesce($7, response_code), response_headers = coalesce($8, response_headers),
            response_body = coalesce($9, response_body)
        WHERE id = $2 AND fence = $3 AND recovery_point = $4 AND status = 'running'
            AND (cancel_requested_at IS NULL) = ($7 IS NOT NULL)
        RETURNING first_attempt_at";

    /// The points of a key, with what its undos need.
    reached_all = "
        SELECT seq, name, step, data FROM {prefix}recovery_points WHERE key_id = $1 ORDER BY seq";

    /// Written with the undo, not by the reaper: in the other database, an insert that waits for the reaper reads what
    /// was there before it.
    bury = "
        INSERT INTO {prefix}tombstones (scope, key_hash, generation, buried_at)
        SELECT scope, $3, generation, {now} FROM {prefix}idempotency_keys WHERE id = $2
        ON CONFLICT (scope, key_hash) DO UPDATE SET
            generation = excluded.generation, buried_at = excluded.buried_at";

    stage = "
        INSERT INTO {prefix}staged_jobs (message_id, key_id, kind, payload, staged_at)
        VALUES ($2, $3, $4, $5, {now})";

    /// What comes after a failed attempt. Repeated, it counts no further: the next attempt may be counted already. A
    /// released row is not leased again: a late duplicate would lock everybody out.
    fail = "
        UPDATE {prefix}idempotency_keys SET
            step_attempts = iif($6 = 'again', $4 + 1, step_attempts),
            lease_expires_at = CASE $6 WHEN 'again' THEN {now} + $7 WHEN 'stay' THEN lease_expires_at END,
            locked_at = iif($6 IN ('again', 'stay'), locked_at, NULL),
            attempts = iif($6 IN ('again', 'stay'), attempts, max(attempts - 1, 0)),
            status = CASE
                WHEN $6 = 'park' THEN 'needs_attention'
                WHEN $6 = 'later' AND status = 'running' THEN 'waiting'
                ELSE status END,
            wake_at = iif($6 = 'later', {now} + $7, NULL),
            last_error = $5
        WHERE id = $2 AND fence = $3 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL
            AND step_attempts BETWEEN $4 AND $4 + 1
            AND ($8 OR status = 'undoing' OR cancel_requested_at IS NULL)";

    /// The failed attempt itself.
    noted = "
        INSERT INTO {prefix}failed_attempts (key_id, seq, attempt, fence, step, error, in_doubt, failed_at)
        VALUES ($2, $3, $4, $5, $6, $7, $8, {now}) ON CONFLICT DO NOTHING";

    /// A second one keeps the first answer, and wakes the key once more.
    cancel = "
        UPDATE {prefix}idempotency_keys SET
            cancel_requested_at = coalesce(cancel_requested_at, {now}),
            response_code = coalesce(response_code, $6), response_headers = coalesce(response_headers, $7),
            response_body = coalesce(response_body, $8),
            status = 'running', fence = fence + (status <> 'running'), wake_at = NULL
        WHERE scope = $2 AND idempotency_key = $3 AND workflow = $4
            AND recovery_point IN (SELECT value FROM json_each($5))
            AND status IN ('running', 'waiting', 'needs_attention')
        RETURNING id";

    /// A key that stands at a point with a dot is being undone.
    unpark = "
        UPDATE {prefix}idempotency_keys SET
            status = iif(instr(recovery_point, '.') = 0, 'running', 'undoing'), fence = fence + 1, wake_at = NULL
        WHERE scope = $1 AND idempotency_key = $2
            AND (status IN ('waiting', 'needs_attention') OR (status = 'undoing' AND wake_at IS NOT NULL))
        RETURNING id";

    /// A second release of the same lease does nothing.
    release = "
        CREATE TEMP TRIGGER workflow_release INSTEAD OF INSERT ON workflow_batch WHEN NEW.kind = 'release' BEGIN
            UPDATE {prefix}idempotency_keys SET
                lease_expires_at = NULL, locked_at = NULL, attempts = max(attempts - 1, 0), last_error = NEW.error
            WHERE id = NEW.id AND fence = NEW.fence AND status IN ('running', 'undoing')
                AND lease_expires_at IS NOT NULL;
            {answer};
        END";

    /// Inside a write transaction: whoever was about to commit has done so.
    settle = "
        SELECT fence, status, recovery_point, first_attempt_at, response_code, response_headers, response_body
        FROM {prefix}idempotency_keys WHERE id = $1";

    /// Keys, in a write transaction. What is theirs goes by `reap_all`.
    reap = "
        DELETE FROM {prefix}idempotency_keys WHERE id IN (
            SELECT k.id FROM {prefix}idempotency_keys AS k
            WHERE k.status = 'finished' AND k.expires_at <= {now}
                AND NOT EXISTS (
                    SELECT 1 FROM {prefix}staged_jobs AS j WHERE j.key_id = k.id AND j.delivered_at IS NULL)
            ORDER BY k.expires_at LIMIT $2)
        RETURNING id";

    /// Of these keys, a JSON array of their ids in hexadecimal digits.
    reap_all = "
        DELETE FROM {prefix}recovery_points WHERE key_id IN (SELECT unhex(value) FROM json_each($1));
        DELETE FROM {prefix}failed_attempts WHERE key_id IN (SELECT unhex(value) FROM json_each($1));
        DELETE FROM {prefix}staged_jobs WHERE key_id IN (SELECT unhex(value) FROM json_each($1))";

    heartbeat = "
        UPDATE {prefix}idempotency_keys SET lease_expires_at = {now} + $2
        WHERE id = $3 AND fence = $4 AND status IN ('running', 'undoing') AND lease_expires_at IS NOT NULL
        RETURNING cancel_requested_at IS NOT NULL AND status = 'running'";

    /// The last point, `finished`, is the key's own row.
    journal = "
        SELECT key_id, seq, name, step, attempts, first_attempt_at, reached_at, fence
        FROM {prefix}recovery_points WHERE key_id = $1
        UNION ALL
        SELECT id, 1 + (SELECT count(*) FROM {prefix}recovery_points WHERE key_id = id), recovery_point,
            finished_by, step_attempts, first_attempt_at, finished_at, fence
        FROM {prefix}idempotency_keys WHERE id = $1 AND finished_by IS NOT NULL
        ORDER BY seq";

    failures = "
        SELECT key_id, seq, attempt, fence, step, error, in_doubt, failed_at
        FROM {prefix}failed_attempts WHERE key_id = $1 ORDER BY seq, attempt";

    census = "
        SELECT workflow, recovery_point, count(*) AS keys FROM {prefix}idempotency_keys
        WHERE finished_at IS NULL GROUP BY workflow, recovery_point ORDER BY workflow, recovery_point";

    /// Each by a partial index: neither a finished key nor a delivered job is read.
    backlog = "
        SELECT
            (SELECT {now} - min(created_at)
                FROM {prefix}idempotency_keys WHERE finished_at IS NULL) AS oldest,
            (SELECT count(*) FROM {prefix}idempotency_keys
                WHERE finished_at IS NULL AND status = 'needs_attention') AS needs_attention,
            (SELECT count(*) FROM {prefix}staged_jobs WHERE delivered_at IS NULL) AS outbox";
}

/// The end of every trigger. What the trigger's last statement has changed says whether the guards matched.
const ANSWER: &str = "REPLACE INTO workflow_answers VALUES (NEW.place, iif(changes() = 1, {row_now}, NULL))";

fn full(text: &str) -> String {
    let nulls = vec!["NULL"; columns(BATCH)].join(", ");
    let text = text.replace("{answer}", ANSWER).replace("{batch}", BATCH).replace("{nulls}", &nulls);
    text.replace("{point}", POINT).replace("{row}", &row(columns(BATCH)))
}

fn columns(names: &str) -> usize {
    names.split(',').count()
}

fn row(columns: usize) -> String {
    format!("({})", vec!["?"; columns].join(", "))
}

/// A statement that takes many rows, for a few numbers of them. What is not bound of them is null.
pub(crate) struct BySize(Vec<(usize, &'static str)>);

impl BySize {
    fn render(text: &str, columns: usize, render: impl Fn(&str) -> &'static str) -> Self {
        let rows = |size| full(text).replace("{rows}", &vec![row(columns); size].join(", "));
        let sizes = (0..=LARGEST_BATCH.ilog2()).map(|power| 1 << power);
        Self(sizes.map(|size| (size, render(&rows(size)))).collect())
    }

    /// The smallest that takes so many rows, and how many it takes: not all, if there are more than the largest takes.
    pub(crate) fn of(&self, rows: usize) -> (usize, &'static str) {
        let fits = self.0.iter().find(|(size, _)| *size >= rows).or(self.0.last());
        fits.copied().unwrap_or_default()
    }
}

-- One row a key. It holds the request, the recovery point that the key has reached and, in the end, the response.
-- The names up to recovery_point are those that this family of systems has used from the start, so that an existing
-- table can be adopted. Sealed columns hold what the codec made of the value. Times are microseconds since 1970.
CREATE TABLE {prefix}idempotency_keys (
    -- Drawn by the client and never used again: a late write cannot meet another key's row.
    id blob PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    created_at integer NOT NULL,
    -- When the lease was taken; null when nobody has it.
    locked_at integer,
    request_method text CHECK (length(request_method) <= 20),
    request_path text CHECK (length(request_path) <= 2000),
    -- Sealed.
    request_params blob NOT NULL,
    response_code integer CHECK (response_code BETWEEN 100 AND 599),
    -- Sealed.
    response_body blob,
    recovery_point text NOT NULL DEFAULT 'started' CHECK (length(recovery_point) BETWEEN 1 AND 120),

    -- Whose key it is: no scope ever sees another's keys.
    scope text NOT NULL CHECK (length(scope) BETWEEN 1 AND 255),
    workflow text NOT NULL CHECK (length(workflow) BETWEEN 1 AND 100),
    version integer NOT NULL,
    -- What makes two requests the same; digest_version says how it was computed.
    digest blob NOT NULL CHECK (length(digest) = 32),
    digest_version integer NOT NULL,
    -- What the effect keys are made from: stored, so that nothing that changes later changes a call under way.
    effect_seed blob NOT NULL CHECK (length(effect_seed) = 32),
    -- Which life of this key it is.
    generation integer NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'waiting', 'undoing', 'needs_attention', 'finished')),
    -- The fencing token: it only grows.
    fence integer NOT NULL CHECK (fence > 0),
    claim_id blob NOT NULL,
    lease_expires_at integer,
    -- Claims since the last progress that did not end in a release: crashes, and the run under way.
    attempts integer NOT NULL CHECK (attempts >= 0),
    -- Of the next step: recorded before it is attempted. Of a finished key, of the step that answered.
    first_attempt_at integer,
    step_attempts integer NOT NULL CHECK (step_attempts >= 0),
    last_error text,
    wake_at integer,
    cancel_requested_at integer,
    -- Sealed: a JSON array of pairs.
    response_headers blob,
    finished_at integer,
    -- Until when the response is replayed at least.
    expires_at integer,
    -- The step that answered; its attempts stand above. The end of a key has no row of its own below.
    finished_by text CHECK (length(finished_by) BETWEEN 1 AND 100),
    last_run_at integer NOT NULL,
    UNIQUE (scope, idempotency_key),
    CHECK ((status = 'finished') = (response_code IS NOT NULL AND recovery_point = 'finished'))
) STRICT;

-- No index holds a column that an advance changes.
-- The unfinished are found by finished_at, which no guard names: by a condition on status the planner would take this
-- index for a claim or an advance of one key, and walk through all unfinished ones.
CREATE INDEX {prefix}idempotency_keys_unfinished ON {prefix}idempotency_keys (status) WHERE finished_at IS NULL;
CREATE INDEX {prefix}idempotency_keys_wake_at ON {prefix}idempotency_keys (wake_at) WHERE wake_at IS NOT NULL;

-- One row a point reached, append-only: the journal of a key, and the data to go on with. The last one, `finished`, is
-- the key's own row.
CREATE TABLE {prefix}recovery_points (
    key_id blob NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    -- Sealed.
    data blob NOT NULL,
    -- The step that reached it.
    step text NOT NULL CHECK (length(step) BETWEEN 1 AND 120),
    attempts integer NOT NULL CHECK (attempts > 0),
    first_attempt_at integer NOT NULL,
    reached_at integer NOT NULL,
    -- The fence of the run that reached it.
    fence integer NOT NULL,
    PRIMARY KEY (key_id, seq)
) STRICT, WITHOUT ROWID;

-- One row an attempt that has reached nothing, append-only: why, and whether nobody knows what it did. Who succeeds at
-- once writes none.
CREATE TABLE {prefix}failed_attempts (
    key_id blob NOT NULL,
    -- The number of the point that was not reached.
    seq integer NOT NULL CHECK (seq > 0),
    attempt integer NOT NULL CHECK (attempt > 0),
    -- The fence of the run that made it.
    fence integer NOT NULL,
    failed_at integer NOT NULL,
    in_doubt integer NOT NULL,
    step text NOT NULL CHECK (length(step) BETWEEN 1 AND 120),
    error text NOT NULL,
    PRIMARY KEY (key_id, seq, attempt)
) STRICT, WITHOUT ROWID;

-- The outbox: messages that were staged in a step's transaction and are delivered after its commit, at least once.
CREATE TABLE {prefix}staged_jobs (
    -- What the receiver recognizes a repeated delivery by.
    message_id blob PRIMARY KEY NOT NULL CHECK (length(message_id) = 16),
    key_id blob NOT NULL,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 100),
    payload blob NOT NULL,
    staged_at integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    delivered_at integer
) STRICT;

CREATE INDEX {prefix}staged_jobs_undelivered ON {prefix}staged_jobs (staged_at) WHERE delivered_at IS NULL;

-- One row a key. It holds the request, the recovery point that the key has reached and, in the end, the response.
-- The names up to recovery_point are those that this family of systems has used from the start, so that an existing
-- table can be adopted. Sealed columns hold what the codec made of the value.
CREATE TABLE {prefix}idempotency_keys (
    -- Drawn by the client and never used again: a late write cannot meet another key's row.
    id uuid PRIMARY KEY,
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    created_at timestamptz NOT NULL,
    -- When the lease was taken; null when nobody has it.
    locked_at timestamptz,
    request_method text CHECK (length(request_method) <= 20),
    request_path text CHECK (length(request_path) <= 2000),
    -- Sealed.
    request_params bytea NOT NULL,
    response_code integer CHECK (response_code BETWEEN 100 AND 599),
    -- Sealed.
    response_body bytea,
    recovery_point text NOT NULL DEFAULT 'started' CHECK (length(recovery_point) BETWEEN 1 AND 100),

    -- Whose key it is: no scope ever sees another's keys.
    scope text NOT NULL CHECK (length(scope) BETWEEN 1 AND 255),
    workflow text NOT NULL CHECK (length(workflow) BETWEEN 1 AND 100),
    version integer NOT NULL,
    -- What makes two requests the same; digest_version says how it was computed.
    digest bytea NOT NULL CHECK (length(digest) = 32),
    digest_version smallint NOT NULL,
    -- What the effect keys are made from: stored, so that nothing that changes later changes a call under way.
    effect_seed bytea NOT NULL CHECK (length(effect_seed) = 32),
    -- Which life of this key it is.
    generation integer NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'waiting', 'undoing', 'needs_attention', 'finished')),
    -- The fencing token: it only grows.
    fence bigint NOT NULL CHECK (fence > 0),
    claim_id uuid NOT NULL,
    lease_expires_at timestamptz,
    -- Claims since the last progress that did not end in a release: crashes, and the run under way.
    attempts integer NOT NULL CHECK (attempts >= 0),
    -- Of the next step: recorded before it is attempted.
    first_attempt_at timestamptz,
    step_attempts integer NOT NULL CHECK (step_attempts >= 0),
    last_error text,
    wake_at timestamptz,
    cancel_requested_at timestamptz,
    -- Sealed: a JSON array of pairs.
    response_headers bytea,
    finished_at timestamptz,
    -- Until when the response is replayed at least.
    expires_at timestamptz,
    last_run_at timestamptz NOT NULL,
    UNIQUE (scope, idempotency_key),
    CHECK ((status = 'finished') = (response_code IS NOT NULL AND recovery_point = 'finished'))
);

-- No index holds a column that an advance changes: an advance stays within its page.
-- The unfinished are found by finished_at, which no guard names: by a condition on status the planner would take this
-- index for a claim or an advance of one key, and walk through all unfinished ones.
CREATE INDEX {prefix}idempotency_keys_unfinished ON {prefix}idempotency_keys (status) WHERE finished_at IS NULL;
CREATE INDEX {prefix}idempotency_keys_wake_at ON {prefix}idempotency_keys (wake_at) WHERE wake_at IS NOT NULL;

-- One row a point reached, append-only: the journal of a key, and the data to go on with.
CREATE TABLE {prefix}recovery_points (
    key_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- Sealed; null at `finished`, whose data is the response.
    data bytea,
    -- The step that reached it.
    step text NOT NULL CHECK (length(step) BETWEEN 1 AND 100),
    attempts integer NOT NULL CHECK (attempts > 0),
    first_attempt_at timestamptz NOT NULL,
    reached_at timestamptz NOT NULL,
    -- The fence of the run that reached it.
    fence bigint NOT NULL,
    PRIMARY KEY (key_id, seq)
);

-- The outbox: messages that were staged in a step's transaction and are delivered after its commit, at least once.
CREATE TABLE {prefix}staged_jobs (
    -- What the receiver recognizes a repeated delivery by.
    message_id uuid PRIMARY KEY,
    key_id uuid NOT NULL,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 100),
    payload bytea NOT NULL,
    staged_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    delivered_at timestamptz
);

CREATE INDEX {prefix}staged_jobs_undelivered ON {prefix}staged_jobs (staged_at) WHERE delivered_at IS NULL;

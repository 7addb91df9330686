-- One row a key. It holds the request, the recovery point that the key has reached and, in the end, the response.
-- The names are those that this family of systems has used from the start, so that an existing table can be adopted.
-- Sealed columns hold what the codec made of the value. What never changes stands first and what every step changes
-- stands together: of a new version of a row, PostgreSQL logs what lies between the parts that it shares with the old.
-- Lengths are limited by types and not by CHECK, which PostgreSQL parses anew for every statement: a dozen of them cost
-- as much as the statement.
CREATE TABLE {prefix}idempotency_keys (
    -- Drawn by the client and never used again: a late write cannot meet another key's row.
    id uuid PRIMARY KEY,
    claim_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    last_run_at timestamptz NOT NULL,
    version integer NOT NULL,
    -- Which life of this key it is.
    generation integer NOT NULL,
    -- What makes two requests the same; digest_version says how it was computed.
    digest_version smallint NOT NULL,
    digest bytea NOT NULL,
    -- What the effect keys are made from: stored, so that nothing that changes later changes a call under way.
    effect_seed bytea NOT NULL,
    -- Whose key it is: no scope ever sees another's keys.
    scope varchar(255) NOT NULL,
    idempotency_key varchar(255) NOT NULL,
    workflow varchar(100) NOT NULL,
    request_method varchar(20),
    request_path varchar(2000),
    -- Sealed.
    request_params bytea NOT NULL,

    -- The fencing token: it only grows.
    fence bigint NOT NULL,
    -- When the lease was taken; null when nobody has it.
    locked_at timestamptz,
    -- Claims since the last progress that did not end in a release: crashes, and the run under way.
    attempts integer NOT NULL,
    -- Of the next step: recorded before it is attempted. Of a finished key, of the step that answered.
    step_attempts integer NOT NULL,
    first_attempt_at timestamptz,
    lease_expires_at timestamptz,
    -- running, waiting, undoing, needs_attention or finished.
    status varchar(20) NOT NULL,
    recovery_point varchar(120) NOT NULL DEFAULT 'started',
    last_error text,
    wake_at timestamptz,
    cancel_requested_at timestamptz,

    finished_at timestamptz,
    -- Until when the response is replayed at least.
    expires_at timestamptz,
    -- The step that answered; its attempts stand above. The end of a key has no row of its own below.
    finished_by varchar(120),
    response_code integer,
    -- Sealed: a JSON array of pairs.
    response_headers bytea,
    -- Sealed.
    response_body bytea,
    UNIQUE (scope, idempotency_key),
    CHECK ((status = 'finished') = (response_code IS NOT NULL AND recovery_point = 'finished'))
);

-- No index holds a column that an advance changes: an advance stays within its page.
-- The unfinished are found by finished_at, which no guard names: by a condition on status the planner would take this
-- index for a claim or an advance of one key, and walk through all unfinished ones.
CREATE INDEX {prefix}idempotency_keys_unfinished ON {prefix}idempotency_keys (status) WHERE finished_at IS NULL;
CREATE INDEX {prefix}idempotency_keys_wake_at ON {prefix}idempotency_keys (wake_at) WHERE wake_at IS NOT NULL;

-- One row a point reached, append-only: the journal of a key, and the data to go on with. The last one, `finished`, is
-- the key's own row.
CREATE TABLE {prefix}recovery_points (
    key_id uuid NOT NULL,
    -- The fence of the run that reached it.
    fence bigint NOT NULL,
    first_attempt_at timestamptz NOT NULL,
    reached_at timestamptz NOT NULL,
    seq integer NOT NULL,
    attempts integer NOT NULL,
    name varchar(120) NOT NULL,
    -- The step that reached it.
    step varchar(120) NOT NULL,
    -- Sealed.
    data bytea NOT NULL,
    PRIMARY KEY (key_id, seq)
);

-- One row an attempt that has reached nothing, append-only: why, and whether nobody knows what it did. Who succeeds at
-- once writes none.
CREATE TABLE {prefix}failed_attempts (
    key_id uuid NOT NULL,
    -- The number of the point that was not reached.
    seq integer NOT NULL,
    attempt integer NOT NULL,
    -- The fence of the run that made it.
    fence bigint NOT NULL,
    failed_at timestamptz NOT NULL,
    in_doubt boolean NOT NULL,
    step varchar(120) NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (key_id, seq, attempt)
);

-- The outbox: messages that were staged in a step's transaction and are delivered after its commit, at least once.
CREATE TABLE {prefix}staged_jobs (
    -- What the receiver recognizes a repeated delivery by.
    message_id uuid PRIMARY KEY,
    key_id uuid NOT NULL,
    kind varchar(100) NOT NULL,
    payload bytea NOT NULL,
    staged_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    delivered_at timestamptz
);

CREATE INDEX {prefix}staged_jobs_undelivered ON {prefix}staged_jobs (staged_at) WHERE delivered_at IS NULL;

-- What is over: by this the reaper finds it, and never reads what is not. A key gets this time when it is finished,
-- which moves it in the index of the unfinished anyway.
CREATE INDEX {prefix}idempotency_keys_expires_at ON {prefix}idempotency_keys (expires_at) WHERE expires_at IS NOT NULL;
-- A key's jobs go with it, and none of them may wait for delivery.
CREATE INDEX {prefix}staged_jobs_key_id ON {prefix}staged_jobs (key_id);

-- What stays of a key of which something was undone outside: its next life must not use the same effect keys. Nearly
-- always empty.
CREATE TABLE {prefix}tombstones (
    scope varchar(255) NOT NULL,
    -- SHA-256 of the key's value: enough to know it again.
    key_hash bytea NOT NULL,
    -- Which life it was: the next one is of the next generation.
    generation integer NOT NULL,
    buried_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key_hash)
);

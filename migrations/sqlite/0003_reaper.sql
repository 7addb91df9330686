-- What is over: by this the reaper finds it, and never reads what is not. A key gets this time when it is finished,
-- which moves it in the index of the unfinished anyway.
CREATE INDEX {prefix}idempotency_keys_expires_at ON {prefix}idempotency_keys (expires_at) WHERE expires_at IS NOT NULL;
-- A key's jobs go with it, and none of them may wait for delivery.
CREATE INDEX {prefix}staged_jobs_key_id ON {prefix}staged_jobs (key_id);

-- What stays of a key of which something was undone outside: its next life must not use the same effect keys. Nearly
-- always empty.
CREATE TABLE {prefix}tombstones (
    scope text NOT NULL CHECK (length(scope) BETWEEN 1 AND 255),
    -- SHA-256 of the key's value: enough to know it again.
    key_hash blob NOT NULL CHECK (length(key_hash) = 32),
    -- Which life it was: the next one is of the next generation.
    generation integer NOT NULL,
    buried_at integer NOT NULL,
    PRIMARY KEY (scope, key_hash)
) STRICT, WITHOUT ROWID;

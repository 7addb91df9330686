-- Storage only, no meaning. In a row that is wider than about 2 kB, PostgreSQL moves wide columns out of line, down to
-- the target: an advance then copies a narrow row. It leaves a smaller row as it is, and copies all of it. EXTERNAL
-- is out of line without compression, which sealed bytes do not gain from. Pages keep room for the next version of
-- their rows.
ALTER TABLE {prefix}idempotency_keys ALTER COLUMN request_params SET STORAGE EXTERNAL;
ALTER TABLE {prefix}idempotency_keys ALTER COLUMN response_body SET STORAGE EXTERNAL;
ALTER TABLE {prefix}idempotency_keys SET (toast_tuple_target = 128, fillfactor = 50);

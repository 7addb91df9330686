-- Storage only, no meaning: the wide columns are kept out of line, so that an advance copies a narrow row, and pages
-- keep room for the next version of their rows.
ALTER TABLE {prefix}idempotency_keys ALTER COLUMN request_params SET STORAGE EXTERNAL;
ALTER TABLE {prefix}idempotency_keys ALTER COLUMN response_body SET STORAGE EXTERNAL;
ALTER TABLE {prefix}idempotency_keys SET (toast_tuple_target = 128, fillfactor = 50);

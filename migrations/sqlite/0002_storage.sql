-- Storage only, no meaning: SQLite keeps wide values on overflow pages by itself, and needs nothing here.
SELECT 1;

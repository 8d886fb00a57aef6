-- A login that may read the server's files reads the tables' files too.
-- class: server files
grant pg_read_server_files to ANALYST;
-- undo
revoke pg_read_server_files from ANALYST;

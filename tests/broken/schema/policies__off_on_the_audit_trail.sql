-- phase: policies
-- says: row security of audit.changes: is off, not enabled
alter table audit.changes disable row level security;

-- Who changed what is a tenant's own business too.
-- relation: "audit"."changes"
drop policy changes_reader_select on audit.changes;
create policy changes_reader_select on audit.changes for select to aegis_reader using (true);

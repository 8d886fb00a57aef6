-- phase: triggers
-- says: trigger changes_append_only of audit.changes: is missing
drop trigger changes_append_only on audit.changes;

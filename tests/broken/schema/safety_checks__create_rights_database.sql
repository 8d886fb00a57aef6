-- phase: safety checks
-- says: public may create temporary tables in it
do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$;

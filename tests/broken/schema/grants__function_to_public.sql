-- phase: grants
-- says: function ads.generate_recommendations(tenant_id uuid): public may execute it
grant execute on function ads.generate_recommendations(uuid) to public;

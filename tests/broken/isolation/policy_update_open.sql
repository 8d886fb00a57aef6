-- A buyer may update what it cannot see, and may give its rows away.
-- relation: "ads"."ab_tests"
drop policy ab_tests_buyer_update on ads.ab_tests;
create policy ab_tests_buyer_update on ads.ab_tests for all to aegis_buyer using (true) with check (true);

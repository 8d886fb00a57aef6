-- One more permissive policy: policies are OR'ed, so it opens the table however strict the others are.
-- relation: "ads"."anomalies"
create policy extra on ads.anomalies for select to aegis_reader using (severity = 'high' or true);

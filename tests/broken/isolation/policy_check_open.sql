-- Reading is guarded, writing is not: a buyer enters figures for another tenant.
-- relation: "ads"."budget_allocation"
drop policy budget_allocation_buyer_insert on ads.budget_allocation;
create policy budget_allocation_buyer_insert on ads.budget_allocation for insert to aegis_buyer with check (true);

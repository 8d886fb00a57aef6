-- phase: columns
-- says: column budget of ads.budget_allocation: is numeric(20,6), not numeric(20,6) not null
alter table ads.budget_allocation alter column budget drop not null;

-- A pooled login that begins every session in a tenant, instead of choosing one in each transaction.
-- relation: "ads"."metrics_daily"
alter role APP in database THIS set saas.tenant_id = '5ec2e75e-0f0f-4e1e-8f8f-731973197319';

{{ config(materialized='view', unlogged=none) }}
-- The one place that knows whether history is built here or only read (target dev).

select * from {{ history_table('entity_changes') }}

{{ config(materialized='view', unlogged=none) }}

select * from {{ history_table('recommendation_outcomes') }}

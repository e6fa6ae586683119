{{ config(meta={'description': 'No dollar is lost or invented between the attempts and the days.', 'dagster': {'ref': {'name': 'cost_per_audio_hour'}}}) }}
select spent, told
from (
    select
        (select coalesce(sum(cost_usd), 0) from {{ ref('stg_llm_calls') }}) as spent,
        (select coalesce(sum(cost_usd), 0) from {{ ref('cost_per_audio_hour') }}) as told
)
where abs(spent - told) > 0.000001

with days as (
    select
        user_id,
        recorded_day,
        count(*) as recordings,
        coalesce(sum(duration_s), 0) as audio_s,
        cast(sum(attempts) as bigint) as attempts,
        cast(sum(unpriced_attempts) as bigint) as unpriced_attempts,
        sum(cost_usd) as cost_usd,
        max_by(recording_key, (cost_usd, recording_key)) as dearest_recording_key
    from {{ source('catalogue', 'recording_costs') }}
    group by user_id, recorded_day
),
by_route as (
    select r.user_id, r.recorded_day, c.route, c.model, count(*) as attempts, cast(sum(c.input_tokens) as bigint) as input_tokens,
        cast(sum(c.output_tokens) as bigint) as output_tokens, sum(c.cost_usd) as cost_usd
    from {{ ref('stg_llm_calls') }} c
    join {{ ref('stg_recordings') }} r using (recording_key)
    group by all
),
routes as (
    select
        user_id,
        recorded_day,
        list(
            {route: route, model: model, attempts: attempts, input_tokens: input_tokens, output_tokens: output_tokens, cost_usd: cost_usd}
            order by route, model
        ) as routes
    from by_route
    group by user_id, recorded_day
)
select
    d.*,
    case when d.unpriced_attempts = 0 then d.cost_usd * 3600 / nullif(d.audio_s, 0) end as usd_per_audio_hour,
    coalesce(r.routes, []) as routes
from days d
left join routes r on r.user_id = d.user_id and r.recorded_day is not distinct from d.recorded_day

select
    r.user_id,
    r.processed_day,
    count(*) as submissions,
    count(*) filter (where r.status in ('completed', 'degraded')) as succeeded,
    count(*) filter (where r.status = 'failed') as failed,
    count(*) filter (where r.status = 'refused') as refused,
    count(*) filter (where r.status = 'cancelled') as cancelled,
    coalesce(sum(r.duration_s) filter (where r.status in ('completed', 'degraded')), 0) / 3600 as audio_hours,
    sum(coalesce(c.llm_s, 0)) as llm_s,
    min(r.processed_at) as first_processed_at,
    max(r.processed_at) as last_processed_at,
    list(distinct {status: r.status, reason_code: r.reason_code, failed_stage: r.failed_stage})
        filter (where r.reason_code is not null) as reasons
from {{ ref('stg_recordings') }} r
left join (select recording_key, sum(seconds) as llm_s from {{ ref('stg_llm_calls') }} group by recording_key) c
    using (recording_key)
group by r.user_id, r.processed_day

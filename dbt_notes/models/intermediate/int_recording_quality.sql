{# one row a recording that was accepted: how well it was heard, and whether its note holds #}
with heard as (
    select
        recording_key,
        sum(length_s) filter (where kind = 'speech') as speech_s,
        sum(length_s) filter (where kind = 'inaudible') as inaudible_s,
        sum(length_s) filter (where kind = 'silence') as silence_s
    from {{ ref('stg_segments') }}
    group by recording_key
),
checked as (
    select
        recording_key,
        count(*) as checks,
        count(*) filter (where not passed) as failed_checks,
        bool_and(passed) filter (where check_name in ('quotes_verbatim', 'names_supported', 'numbers_supported', 'dates_supported', 'summary_supported')) as supported,
        list({recording_key: recording_key, stage: stage, check_name: check_name, severity: severity} order by stage, check_name)
            filter (where not passed) as failures
    from {{ ref('stg_checks') }}
    group by recording_key
)
select
    r.recording_key,
    r.user_id,
    r.recorded_day,
    r.status,
    coalesce(r.reason_code = 'audio_no_speech', false) as no_speech,
    coalesce(r.duration_s, 0) as audio_s,
    coalesce(h.speech_s, 0) as speech_s,
    coalesce(h.inaudible_s, 0) as inaudible_s,
    coalesce(h.silence_s, 0) as silence_s,
    n.recording_key is not null as noted,
    coalesce(n.degraded, false) as degraded,
    c.supported,
    coalesce(c.checks, 0) as checks,
    coalesce(c.failed_checks, 0) as failed_checks,
    coalesce(c.failures, []) as failures
from {{ ref('stg_recordings') }} r
left join heard h using (recording_key)
left join checked c using (recording_key)
left join {{ ref('stg_notes') }} n using (recording_key)
where r.recording_key is not null

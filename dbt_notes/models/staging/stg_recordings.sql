select
    recording_key,
    submission_id,
    user_id,
    file_name,
    duration_s,
    recorded_day,
    case
        when recorded_at_source not in ('file_name_day', 'file_time')
            then timezone(time_zone, timezone('UTC', recorded_at))
    end as spoken_at,
    language,
    status,
    failed_stage,
    reason_code,
    processed_at,
    cast(processed_at as date) as processed_day,
    commit_seq
from {{ source('catalogue', 'recordings') }}

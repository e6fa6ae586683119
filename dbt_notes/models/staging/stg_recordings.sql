select
    recording_key,
    submission_id,
    user_id,
    file_name,
    duration_s,
    recorded_day,
    timezone(time_zone, timezone('UTC', recorded_at)) as spoken_at,
    language,
    status,
    failed_stage,
    reason_code,
    processed_at,
    cast(processed_at as date) as processed_day,
    commit_seq
from {{ source('catalogue', 'recordings') }}

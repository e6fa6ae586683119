select
    user_id,
    recorded_day,
    count(*) as recordings,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'degraded') as degraded,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'cancelled') as cancelled,
    count(*) filter (where no_speech) as without_speech,
    sum(audio_s) as audio_s,
    sum(speech_s) as speech_s,
    sum(inaudible_s) as inaudible_s,
    sum(silence_s) as silence_s,
    sum(inaudible_s) / nullif(sum(speech_s) + sum(inaudible_s), 0) as inaudible_share,
    count(*) filter (where noted) as notes,
    count(*) filter (where noted and degraded) / nullif(count(*) filter (where noted), 0) as degraded_share,
    count(*) filter (where noted and supported) / nullif(count(*) filter (where noted and supported is not null), 0) as supported_share,
    cast(sum(checks) as bigint) as checks,
    cast(sum(failed_checks) as bigint) as failed_checks,
    flatten(list(failures order by recording_key)) as failures
from {{ ref('int_recording_quality') }}
group by user_id, recorded_day

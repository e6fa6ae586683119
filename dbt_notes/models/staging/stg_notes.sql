{# left join: the note of a recording that is being heard again stays while its outcome row is away #}
select
    n.recording_key,
    n.user_id,
    n.note_date,
    cast(date_trunc('week', n.note_date) as date) as week_start,
    r.spoken_at,
    r.duration_s,
    n.title,
    n.summary,
    n.mood,
    {{ mood_score('n.mood') }} as mood_score,
    n.writer,
    n.degraded,
    n.language,
    'notes/' || r.recorded_day || '/' || n.recording_key || '.md' as note_file,
    n.commit_seq,
    r.commit_seq as recording_commit_seq
from {{ source('catalogue', 'notes') }} n
left join {{ ref('stg_recordings') }} r using (recording_key)

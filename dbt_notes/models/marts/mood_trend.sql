with days as (
    select
        user_id,
        note_date,
        count(*) as notes,
        avg(mood_score) as mood_score,
        min_by(recording_key, (mood_score, recording_key)) as lowest_recording_key,
        max_by(recording_key, (mood_score, recording_key)) as highest_recording_key,
        list({recording_key: recording_key, mood: mood} order by spoken_at, recording_key) as moods
    from {{ ref('stg_notes') }}
    where mood_score is not null
    group by user_id, note_date
)
select
    user_id,
    note_date,
    notes,
    mood_score,
    avg(mood_score) over (partition by user_id order by note_date range between interval 6 days preceding and current row) as mood_score_7d,
    avg(mood_score) over (partition by user_id order by note_date range between interval 29 days preceding and current row) as mood_score_30d,
    lowest_recording_key,
    highest_recording_key,
    moods
from days

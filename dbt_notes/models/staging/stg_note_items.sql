select
    i.recording_key,
    i.item_id,
    n.user_id,
    n.note_date,
    n.week_start,
    n.spoken_at,
    n.mood_score,
    i.kind,
    i.text,
    i.segment_id,
    i.start_s,
    i.end_s,
    i.quote,
    i.due_date
from {{ source('catalogue', 'note_items') }} i
join {{ ref('stg_notes') }} n using (recording_key)

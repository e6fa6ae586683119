select
    user_id,
    kind,
    lower(trim(text)) as name_key,
    trim(text) as text,
    recording_key,
    item_id,
    note_date,
    spoken_at,
    mood_score,
    segment_id,
    start_s,
    end_s,
    quote
from {{ ref('stg_note_items') }}
where kind in ('person', 'place', 'topic')

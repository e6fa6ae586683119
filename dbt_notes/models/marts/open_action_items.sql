select user_id, recording_key, item_id, text, note_date, due_date, segment_id, start_s, end_s, quote
from {{ ref('stg_action_items') }}
where status = 'open'

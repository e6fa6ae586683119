select
    user_id,
    recording_key,
    item_id,
    text,
    note_date,
    due_date,
    segment_id,
    start_s,
    end_s,
    quote,
    status as outcome,
    done_date,
    done_date - note_date as days_taken,
    done_recording_key,
    done_segment_id,
    done_start_s,
    done_end_s,
    done_quote
from {{ ref('stg_action_items') }}
where status <> 'open'

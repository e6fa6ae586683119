select
    user_id,
    note_date,
    week_start,
    count(*) as recordings,
    max(commit_seq) as commit_seq,
    {{ fingerprint() }} as fingerprint
from {{ ref('stg_notes') }}
group by user_id, note_date, week_start

{# a note that moves within its week changes the week too: the days are part of what it tells #}
select
    user_id,
    week_start,
    count(distinct note_date) as days,
    count(*) as recordings,
    max(commit_seq) as commit_seq,
    md5({{ fingerprint() }} || string_agg(distinct cast(note_date as varchar), ',' order by cast(note_date as varchar))) as fingerprint
from {{ ref('stg_notes') }}
group by user_id, week_start

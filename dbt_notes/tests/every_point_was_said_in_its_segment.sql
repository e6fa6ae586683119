{{ config(meta={'description': 'Each point of a day lies in a segment of that very recording, of that very owner, and within its seconds.', 'dagster': {'ref': {'name': 'daily_diary'}}}) }}
with told as (
    select user_id, note_date, unnest(points) as point from {{ ref('daily_diary') }}
)
select t.user_id, t.note_date, t.point.recording_key, t.point.segment_id
from told t
left join {{ ref('stg_segments') }} s
    on s.recording_key = t.point.recording_key and s.segment_id = t.point.segment_id and s.user_id = t.user_id
where s.recording_key is null or t.point.start_s < s.start_s - 0.01 or t.point.start_s > s.end_s + 0.01

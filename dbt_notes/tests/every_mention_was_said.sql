{{ config(meta={'description': 'Whoever, wherever and whatever is counted was said in a segment of that owner, and no mention is counted twice.', 'dagster': {'ref': {'name': 'people'}}}) }}
with said as (
    select user_id, unnest(said) as m from {{ ref('people') }}
    union all
    select user_id, unnest(said) from {{ ref('places') }}
    union all
    select user_id, unnest(said) from {{ ref('topics') }}
)
select s.user_id, m.recording_key, m.segment_id
from said s
left join {{ ref('stg_segments') }} g
    on g.recording_key = m.recording_key and g.segment_id = m.segment_id and g.user_id = s.user_id
where g.recording_key is null
union all
select 'all', 'mentions', counted - held
from (select (select count(*) from said) as counted, (select count(*) from {{ ref('int_mentions') }}) as held)
where counted <> held

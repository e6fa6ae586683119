{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'week_start'],
    on_schema_change='fail',
    pre_hook="{{ forget_gone(ref('int_weeks'), ['user_id', 'week_start']) }}",
) }}
with changed as (
    {{ changed(ref('int_weeks'), ['user_id', 'week_start']) }}
),
notes as (
    select n.* from {{ ref('stg_notes') }} n semi join changed using (user_id, week_start)
),
days as (
    select
        user_id,
        week_start,
        note_date,
        avg(mood_score) as mood_score,
        coalesce(sum(duration_s), 0) as audio_s,
        count(*) filter (where degraded) as degraded_recordings,
        string_agg(
            '- ' || title || ' (' || coalesce('[' || recording_key || '](' || note_file || ')', recording_key) || ')',
            chr(10) order by spoken_at, recording_key
        ) as lines
    from notes
    group by user_id, week_start, note_date
),
told as (
    select
        user_id,
        week_start,
        sum(audio_s) as audio_s,
        cast(sum(degraded_recordings) as bigint) as degraded_recordings,
        avg(mood_score) as mood_score,
        list({note_date: note_date, mood_score: mood_score} order by note_date) as moods,
        string_agg('## ' || note_date || chr(10) || chr(10) || lines, chr(10) || chr(10) order by note_date) as body
    from days
    group by user_id, week_start
),
items as (
    select i.* from {{ ref('stg_note_items') }} i semi join changed using (user_id, week_start)
),
names as (
    select user_id, week_start, kind, mode(trim(text) order by trim(text)) as name, count(*) as mentions
    from items
    where kind in ('person', 'place', 'topic')
    group by user_id, week_start, kind, lower(trim(text))
),
named as (
    select
        user_id,
        week_start,
        list({name: name, mentions: mentions} order by mentions desc, name) filter (where kind = 'person') as people,
        list({name: name, mentions: mentions} order by mentions desc, name) filter (where kind = 'place') as places,
        list({name: name, mentions: mentions} order by mentions desc, name) filter (where kind = 'topic') as topics
    from names
    group by user_id, week_start
),
pointed as (
    select
        user_id,
        week_start,
        count(*) filter (where kind = 'action') as actions,
        list(
            {kind: kind, text: text, note_date: note_date, recording_key: recording_key, segment_id: segment_id,
             start_s: start_s, end_s: end_s, quote: quote}
            order by note_date, spoken_at, recording_key, start_s, item_id
        ) filter (where kind in ('event', 'reflection', 'action', 'quote')) as points
    from items
    group by user_id, week_start
)
select
    c.user_id,
    c.week_start,
    c.week_start + 6 as week_end,
    strftime(c.week_start, '%G-W%V') as iso_week,
    c.days,
    c.recordings,
    t.degraded_recordings,
    t.audio_s,
    t.mood_score,
    t.moods,
    '# ' || strftime(c.week_start, '%G-W%V') || chr(10) || chr(10) || t.body || chr(10) as markdown,
    coalesce(p.actions, 0) as actions,
    coalesce(n.people, []) as people,
    coalesce(n.places, []) as places,
    coalesce(n.topics, []) as topics,
    coalesce(p.points, []) as points,
    c.commit_seq,
    c.fingerprint,
    {{ built_at() }} as built_at
from changed c
join told t using (user_id, week_start)
left join named n using (user_id, week_start)
left join pointed p using (user_id, week_start)

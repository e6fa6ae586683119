{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['user_id', 'note_date'],
    on_schema_change='fail',
    pre_hook="{{ forget_gone(ref('int_days'), ['user_id', 'note_date']) }}",
) }}
with changed as (
    {{ changed(ref('int_days'), ['user_id', 'note_date']) }}
),
notes as (
    select n.*, coalesce(strftime(n.spoken_at, '%H:%M '), '') as clock
    from {{ ref('stg_notes') }} n semi join changed using (user_id, note_date)
),
entries as (
    select
        user_id,
        note_date,
        min(spoken_at) as first_spoken_at,
        max(spoken_at) as last_spoken_at,
        coalesce(sum(duration_s), 0) as audio_s,
        avg(mood_score) as mood_score,
        count(*) filter (where degraded) as degraded_recordings,
        string_agg(title, ' · ' order by spoken_at, recording_key) as title,
        string_agg(
            '## ' || clock || title || chr(10) || chr(10) || coalesce(summary, '') || chr(10) || chr(10)
            || coalesce('[' || recording_key || '](' || note_file || ')', recording_key),
            chr(10) || chr(10) order by spoken_at, recording_key
        ) as body,
        list(
            {recording_key: recording_key, spoken_at: spoken_at, title: title, summary: summary, mood: mood,
             duration_s: duration_s, degraded: degraded, note_file: note_file}
            order by spoken_at, recording_key
        ) as entries
    from notes
    group by user_id, note_date
),
items as (
    select
        i.user_id,
        i.note_date,
        list(distinct i.text order by i.text) filter (where i.kind = 'person') as people,
        list(distinct i.text order by i.text) filter (where i.kind = 'place') as places,
        list(distinct i.text order by i.text) filter (where i.kind = 'topic') as topics,
        list(
            {kind: i.kind, text: i.text, recording_key: i.recording_key, segment_id: i.segment_id,
             start_s: i.start_s, end_s: i.end_s, quote: i.quote}
            order by i.spoken_at, i.recording_key, i.start_s, i.item_id
        ) as points
    from {{ ref('stg_note_items') }} i semi join changed using (user_id, note_date)
    group by i.user_id, i.note_date
)
select
    c.user_id,
    c.note_date,
    c.week_start,
    c.recordings,
    e.degraded_recordings,
    e.first_spoken_at,
    e.last_spoken_at,
    e.audio_s,
    e.mood_score,
    e.title,
    '# ' || c.note_date || chr(10) || chr(10) || e.body || chr(10) as markdown,
    e.entries,
    coalesce(i.people, []) as people,
    coalesce(i.places, []) as places,
    coalesce(i.topics, []) as topics,
    coalesce(i.points, []) as points,
    c.commit_seq,
    c.fingerprint,
    {{ built_at() }} as built_at
from changed c
join entries e using (user_id, note_date)
left join items i using (user_id, note_date)

{# Who, where or what is spoken of: one row an owner and a name, its spellings taken together, with every place it is said. #}
{% macro mentioned(kind) -%}
select
    user_id,
    mode(text order by text) as name,
    name_key,
    list(distinct text order by text) as spellings,
    count(*) as mentions,
    count(distinct recording_key) as recordings,
    count(distinct note_date) as days,
    min(note_date) as first_note_date,
    max(note_date) as last_note_date,
    avg(mood_score) as mood_score,
    list(
        {recording_key: recording_key, note_date: note_date, segment_id: segment_id, start_s: start_s, end_s: end_s, quote: quote}
        order by note_date, spoken_at, recording_key, start_s, item_id
    ) as said
from {{ ref('int_mentions') }}
where kind = '{{ kind }}'
group by user_id, name_key
{%- endmacro %}

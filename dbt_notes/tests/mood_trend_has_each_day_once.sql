{{ config(meta={'description': 'One row a day, means within the scale.', 'dagster': {'ref': {'name': 'mood_trend'}}}) }}
select user_id, note_date, count(*) as rows_of_day
from {{ ref('mood_trend') }}
group by user_id, note_date
having count(*) > 1 or max(abs(mood_score)) > 2 or max(abs(mood_score_7d)) > 2 or max(abs(mood_score_30d)) > 2

{{ config(meta={'description': 'What was not rebuilt is still true: incremental and full builds cannot drift apart.', 'dagster': {'ref': {'name': 'daily_diary'}}}) }}
select user_id, note_date, d.fingerprint as built, i.fingerprint as holds
from {{ ref('daily_diary') }} d
full join {{ ref('int_days') }} i using (user_id, note_date)
where d.fingerprint is distinct from i.fingerprint

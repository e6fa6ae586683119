{{ config(meta={'description': 'What was not rebuilt is still true: incremental and full builds cannot drift apart.', 'dagster': {'ref': {'name': 'weekly_review'}}}) }}
select user_id, week_start, w.fingerprint as built, i.fingerprint as holds
from {{ ref('weekly_review') }} w
full join {{ ref('int_weeks') }} i using (user_id, week_start)
where w.fingerprint is distinct from i.fingerprint

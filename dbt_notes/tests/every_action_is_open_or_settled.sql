{{ config(meta={'description': 'An action stands in exactly one of the two marts.', 'dagster': {'ref': {'name': 'open_action_items'}}}) }}
select recording_key, item_id, count(found) as places
from {{ ref('stg_action_items') }}
left join (
    select recording_key, item_id, 'open' as found from {{ ref('open_action_items') }}
    union all
    select recording_key, item_id, 'settled' from {{ ref('action_items_done') }}
) using (recording_key, item_id)
group by recording_key, item_id
having count(found) <> 1

{{ config(meta={'description': 'Sums over days and weeks equal the notes themselves, by owner: nothing is lost, doubled or mixed between owners.', 'dagster': {'ref': {'name': 'weekly_review'}}}) }}
with counted as (
    select
        user_id,
        count(*) as notes,
        (select sum(recordings) from {{ ref('daily_diary') }} d where d.user_id = n.user_id) as by_day,
        (select sum(recordings) from {{ ref('weekly_review') }} w where w.user_id = n.user_id) as by_week
    from {{ ref('stg_notes') }} n
    group by user_id
)
select * from counted where notes is distinct from by_day or notes is distinct from by_week
union all
select user_id, 0, recordings, 0 from {{ ref('daily_diary') }} where user_id not in (select user_id from {{ ref('stg_notes') }})

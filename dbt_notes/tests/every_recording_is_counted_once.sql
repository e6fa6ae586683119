{{ config(meta={'description': 'Quality, cost and throughput speak of the same recordings.', 'dagster': {'ref': {'name': 'throughput'}}}) }}
select accepted, quality, costs, submissions, throughput
from (
    select
        (select count(*) from {{ ref('stg_recordings') }} where recording_key is not null) as accepted,
        (select coalesce(sum(recordings), 0) from {{ ref('quality') }}) as quality,
        (select coalesce(sum(recordings), 0) from {{ ref('cost_per_audio_hour') }}) as costs,
        (select count(*) from {{ ref('stg_recordings') }}) as submissions,
        (select coalesce(sum(submissions), 0) from {{ ref('throughput') }}) as throughput
)
where accepted <> quality or accepted <> costs or submissions <> throughput

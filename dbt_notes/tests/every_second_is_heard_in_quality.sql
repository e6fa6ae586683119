{{ config(meta={'description': 'Speech, inaudible and silence make up the seconds of what was decoded to the end.', 'dagster': {'ref': {'name': 'quality'}}}) }}
select user_id, recorded_day, audio_s, speech_s, inaudible_s, silence_s
from {{ ref('quality') }}
where failed = 0 and cancelled = 0 and abs(audio_s - speech_s - inaudible_s - silence_s) > 0.05 * recordings

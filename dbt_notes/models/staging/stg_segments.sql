select recording_key, user_id, segment_id, start_s, end_s, end_s - start_s as length_s, kind
from {{ source('catalogue', 'segments') }}

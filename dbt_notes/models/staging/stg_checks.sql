select recording_key, user_id, stage, check_name, passed, severity
from {{ source('catalogue', 'checks') }}

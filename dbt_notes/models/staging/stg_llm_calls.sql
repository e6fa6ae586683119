select recording_key, user_id, route, model, outcome, seconds, input_tokens, cached_tokens, output_tokens, cost_usd
from {{ source('catalogue', 'llm_calls') }}

{# What this build saw. The publisher copies marts only when nothing was erased after this watermark. #}
select
    watermark,
    published_at as catalogue_published_at,
    '{{ env_var("DBT_ENV_CUSTOM_ENV_PROJECT", "") }}' as project,
    {{ built_at() }} as built_at
from {{ source('catalogue', 'catalogue_state') }}

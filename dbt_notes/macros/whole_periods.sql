{# Days and weeks are rebuilt whole, and only where something moved. A period's fingerprint names its notes with the commits
   they came by, so whatever arrives late, is written again, moves to another day or is erased changes the fingerprint of the
   periods it left and entered, and of no other. #}

{% macro fingerprint() -%}
    md5(string_agg(concat_ws(' ', recording_key, commit_seq, recording_commit_seq), ',' order by recording_key))
{%- endmacro %}

{# Rows of {{ periods }} that the model has not, or has otherwise. #}
{% macro changed(periods, keys) -%}
    select p.*
    from {{ periods }} p
    {% if is_incremental() -%}
    left join {{ this }} built using ({{ keys | join(', ') }})
    where built.fingerprint is distinct from p.fingerprint
    {%- endif %}
{%- endmacro %}

{# Periods of which nothing is left go; delete+insert alone would keep them. #}
{% macro forget_gone(periods, keys) -%}
    {% if is_incremental() -%}
    delete from {{ this }} where ({{ keys | join(', ') }}) not in (select ({{ keys | join(', ') }}) from {{ periods }})
    {%- endif %}
{%- endmacro %}

{# When this build began, UTC without a zone like every instant of the catalogue; the same in every row of a build. #}
{% macro built_at() -%}
    timestamp '{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}'
{%- endmacro %}

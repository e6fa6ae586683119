{# A mood as a number that can be averaged: -2 (very negative) to 2 (very positive); neutral and mixed are 0. #}
{% macro mood_score(mood) -%}
    case {{ mood }}
        when 'very_negative' then -2 when 'negative' then -1
        when 'neutral' then 0 when 'mixed' then 0
        when 'positive' then 1 when 'very_positive' then 2
    end
{%- endmacro %}

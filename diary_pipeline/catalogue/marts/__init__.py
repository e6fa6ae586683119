"""The marts: tables that dbt builds out of the published catalogue. The models themselves are `dbt_notes/`."""

"""The dbt project `dbt_notes` at work: its manifest and its builds. The models themselves lie beside the package."""

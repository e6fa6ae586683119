"""What dagster.yaml names: loaded by the daemon and the webserver, so it imports core and nothing else of ours."""

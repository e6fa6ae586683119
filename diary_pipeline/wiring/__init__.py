"""Where settings become objects: the one composition root that the Dagster layer and the command line share."""

"""The job API: two FastAPI apps over one set of routers, keys and limits, and the sender of webhooks."""

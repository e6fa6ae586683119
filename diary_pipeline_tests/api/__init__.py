"""The job API, asked over loopback as its clients ask it."""

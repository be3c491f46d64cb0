"""The gateway's HTTP API and its status page, over the services."""

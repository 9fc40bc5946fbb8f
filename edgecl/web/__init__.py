"""The daemon's door: an HTTP API for machines, a page for people. Knows the daemon's commands, never the store."""

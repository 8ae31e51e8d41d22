"""The daemon's HTTP API and order stream."""

"""The shell around the core: stamps commands, makes them durable, then lets their answers out. One event loop."""

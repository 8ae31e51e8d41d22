"""The shell around the core: stamps commands, makes them durable, then lets their answers out. All on one event loop."""

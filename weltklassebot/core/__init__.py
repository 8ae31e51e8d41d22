"""The risk core: pure, synchronous, deterministic. `Engine.handle` is its one door."""

"""A daemon under load, ended in every way that a machine knows, again and again, and held against books kept beside it.

`python -m tests.soak --minutes 30`, or `make soak MINUTES=30`. Every run gets a random load and a random end (see
`tests.soak.endings`); after the next start the journal must hold what every client was told, decide the same again, and
add up to the daemon's own state. The seed is printed: the same seed draws the same loads and ends, though not the same
moments. A fault ends the soak with exit code 1 and leaves the store where it is.
"""

"""The composition root: `wiring.py` is the only place that puts the parts together, `daemon.py` starts them in order
and stops them in reverse, `serve.py` opens and closes what outlives a run.
"""

from weltklassebot.app.serve import serve

__all__ = ["serve"]

"""The command line: thin. Each command parses, calls, prints; a module is imported when its command runs.

`main` turns every error that has a type into one line on stderr and the exit code of `exits`; nobody sees a traceback,
unless it is a fault of the program itself and WELTKLASSE_TRACEBACK asks for it.
"""

from weltklassebot.cli.root import main

__all__ = ["main"]

"""python -m weltklassebot"""

import sys

from weltklassebot.cli import main

if __name__ == "__main__":
    sys.exit(main())

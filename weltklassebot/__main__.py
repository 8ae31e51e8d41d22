"""python -m weltklassebot"""

import sys

from weltklassebot.runtime.process_one import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()
    from weltklassebot.cli import main

    sys.exit(main())

"""The runner of pages itself: it does what a page says, and finds where the page is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.docs.pages import Page, Shell

PAGE = """\
# A page

## Do now

```console
$ weltklassebot halt --reason drill --json
…"state": "HALTED"…
$ NAME=drill
```

```sh
# a comment is no heading
systemctl restart weltklassebot
weltklassebot status | grep HALTED
echo "$NAME is over"
```

### More

```json
{"not": "followed"}
```

## Wrong

```console
$ echo two
three
```
"""


@pytest.mark.slow
def test_a_page_is_followed_word_for_word(make: Callable[..., Daemon], tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    shell, page = Shell(make().start()), Page(str(tmp_path / "page.md"))

    said = page.follow("Do now", shell)

    assert "drill is over" in said
    with pytest.raises(AssertionError, match="two"):
        page.follow("Wrong", shell)
    with pytest.raises(AssertionError, match="no commands"):
        page.follow("More", shell)

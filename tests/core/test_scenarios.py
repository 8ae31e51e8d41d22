"""Every story in `scenarios/` goes as it is written. `WKB_REWRITE=1` writes down how it goes instead: read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.core.story import Story

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


def told(text: str) -> str:
    """The story with what came of each line below it."""
    story = Story()
    lines = []
    for line in text.splitlines():
        if line.startswith("    "):
            continue
        lines.append(line)
        if line.strip() and not line.startswith("#"):
            lines += [f"    {outcome}" for outcome in story.tell(line)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_story_goes_as_written(path):
    text = path.read_text()
    actual = told(text)
    if os.environ.get("WKB_REWRITE") == "1":
        path.write_text(actual)
    assert actual.splitlines() == text.splitlines()


def test_there_are_stories():
    assert len(STORIES) > 20

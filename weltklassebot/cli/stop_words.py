"""What the commands that stop something have in common: no word of an operator can keep one from being sent.

The reason and the actor are optional; the text of an argument or of $USER that is no UTF-8, is too long or has lines is
cleaned; a reason whose quotes were forgotten is put together again. Each complaint is a notice in the answer.
"""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple

import click

from weltklassebot.cli.invocation import Command, default_actor

__all__ = ["StopCommand", "StopWords"]

_TAKE_TEXT: Final = ("--reason", "--actor")


class StopWords(NamedTuple):
    """Fit to be sent and recorded."""

    reason: str | None
    """None: the daemon has its own word for none."""
    actor: str | None
    notices: list[str]

    def body(self, **more: Any) -> dict[str, Any]:
        words = {"reason": self.reason, "actor": self.actor, **more}
        return {key: value for key, value in words.items() if value is not None}

    def beside(self, answer: Any) -> Any:
        """The answer, with what was wrong before the daemon saw it."""
        if not self.notices or not isinstance(answer, dict):
            return answer
        return {**answer, "notices": [*self.notices, *answer.get("notices", [])]}


class StopCommand(Command):
    """Takes a --reason that nothing follows, one without its quotes, and words alone for a reason."""

    def __init__(self, *args: Any, params: list[click.Parameter] | None = None, **more: Any) -> None:
        words = [
            click.Option(["--reason"], metavar="R", help="Give one: it stays in the record.", default=""),
            click.Option(["--actor"], metavar="A", help="Who asks for it; default: you.", default=""),
        ]
        super().__init__(*args, params=[*(params or []), *words], **more)
        self.context_settings = {**self.context_settings, "allow_extra_args": True}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[-1] in _TAKE_TEXT:
            args = [*args, ""]
        rest = super().parse_args(ctx, args)
        words = [word for word in rest if word]
        if words == ["help"] and not ctx.params["reason"]:
            ctx.fail("did you mean --help?")  # the one word that stops nothing
        ctx.params["words"] = _words(ctx.params.pop("reason"), ctx.params.pop("actor"), words)
        return rest


def _words(reason: str, actor: str, more: list[str]) -> StopWords:
    from weltklassebot.core.plain_text import clean_actor, clean_text

    said, complaints = clean_text(" ".join(_as_typed(word) for word in [reason, *more] if word))
    notices = [f"reason: {complaint}" for complaint in complaints]
    if more:
        how = "was not in quotes: the words behind it were taken too" if reason else "stood without --reason"
        notices.insert(0, f"reason: {how}")
    named, about_actor = clean_actor(_as_typed(actor or default_actor()))
    return StopWords(said or None, named, notices + about_actor)


def _as_typed(word: str) -> str:
    """A terminal sends UTF-8, whatever the locale made Python take its bytes for."""
    try:
        return os.fsencode(word).decode()
    except UnicodeError:
        return word

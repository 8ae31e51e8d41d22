"""Every option that takes a number or a moment refuses what is none, with exit code 2 and before anybody is asked."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from tests.written import NO_MOMENTS, NO_NUMBERS, NO_WHOLES
from weltklassebot.cli.root import COMMANDS, root

OTHERS = ["--reason", "r"]
NUMBERS = {
    ("cooldown", "--minutes"): OTHERS,
    ("orders check", "--quantity"): [],
    ("orders check", "--price"): [],
    ("orders check", "--stop-price"): [],
    ("orders check", "--delta"): [],
    ("orders resolve", "--filled-quantity"): ["--id", "a", "--status", "filled", *OTHERS],
    ("positions adjust", "--quantity"): ["--symbol", "X", *OTHERS],
    ("positions adjust", "--price"): ["--symbol", "X", "--quantity", "1", *OTHERS],
    ("positions split", "--ratio"): ["X", *OTHERS],
    ("positions split", "--per"): ["X", "--ratio", "1", *OTHERS],
}
WHOLES = {
    ("audit tail", "--lines"): [],
    ("audit show", "--after-seq"): [],
    ("audit show", "--limit"): [],
    ("audit replay", "--list"): [],
    ("audit replay", "--until"): [],
    ("orders feed", "--window"): ["-"],
}
MOMENTS: dict[tuple[str, str], list[str]] = {
    ("audit show", "--since"): [],
    ("audit show", "--until"): [],
    ("positions adjust", "--as-of"): ["--symbol", "X", "--quantity", "1", *OTHERS],
}


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Runs a command that must not get as far as to look for a daemon or a store."""
    monkeypatch.setenv("WELTKLASSE_NOT_A_SETTING", "whoever reads the settings ends with 78")

    def run(command: str, *arguments: str) -> str:
        done = CliRunner().invoke(root, [*command.split(), *arguments], standalone_mode=False)
        error = done.exception
        assert error is not None, (command, arguments, done.output)
        assert getattr(error, "exit_code", None) == 2, (command, arguments, error)
        return error.format_message() if isinstance(error, click.UsageError) else str(error)

    return run


@pytest.mark.parametrize(
    ("options", "bad", "wanted"),
    [
        (NUMBERS, NO_NUMBERS, "must be a (plain decimal )?number"),
        (WHOLES, NO_WHOLES, "must be a whole number from"),
        (MOMENTS, NO_MOMENTS, "must be Unix seconds, or ISO 8601 with an offset"),
    ],
)
def test_what_is_none_is_refused(refused, options, bad, wanted):
    for (command, option), others in options.items():
        for text in bad:
            assert re.search(wanted, refused(command, *others, f"{option}={text}")), (command, text)


def test_limits(refused):
    for text in NO_NUMBERS:
        if text:
            for command in (["limits set", *OTHERS], ["audit replay", "--set"]):
                assert "or unlimited" in refused(*command, f"max_drawdown={text}")
    for change in ("max_drawdown", "=1", "max_drawdown="):
        assert "KEY=VALUE" in refused("limits set", *OTHERS, change)
    assert "--all" in refused("limits unset", *OTHERS)
    assert "--all" in refused("limits unset", *OTHERS, "--all", "max_drawdown")


def test_no_option_reads_numbers_by_itself():
    """click's own types take what Python takes."""
    own = (click.types.IntParamType, click.types.FloatParamType)
    for name in COMMANDS:
        if name == "var":
            continue  # its numbers are those of a statistics tool
        todo = [(name, root.get_command(click.Context(root), name))]
        while todo:
            path, command = todo.pop()
            assert command is not None
            todo += [(f"{path} {key}", sub) for key, sub in getattr(command, "commands", {}).items()]
            for parameter in command.params:
                assert not isinstance(parameter.type, own), (path, parameter.name)

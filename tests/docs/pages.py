"""Pages for people, followed word for word against a real daemon.

A page's commands stand in fenced blocks under its headings:

    ```sh         a script: it runs as it stands, and must end well
    ```console    lines that begin with `$ ` are commands (`> ` goes on with one), what follows each is what it prints;
                  `…` in it stands for anything, also for whole lines. Where nothing is shown it must end well.

`127.0.0.1:9000` is the daemon's port. `systemctl start|stop|restart weltklassebot`, alone on a line, acts on the test's
daemon; `journalctl` prints its log, and `sudo` (`sudo -u weltklassebot`) runs what follows. As on a host, the command
`weltklassebot` alone knows the settings: they are no variables of the terminal. A test makes the situation that the
page is for, follows a section, and looks at what came of it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.daemon.daemon import ROOT, Daemon

__all__ = ["Block", "Page", "Shell"]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SERVICE = re.compile(r"(?:sudo )?systemctl (start|stop|restart) weltklassebot(?:\.service)?\s*").fullmatch


DEFAULT = "127.0.0.1:9000"


class Block(NamedTuple):
    language: str
    text: str


class Page:
    """A page by its path in the repository, or anywhere."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = (ROOT / path).read_text()

    def blocks(self, section: str, *languages: str) -> list[Block]:
        """The fenced blocks of a section, subsections included, in these languages."""
        found = re.search(rf"^(#+) {re.escape(section)}\n", self.text, re.MULTILINE)
        assert found, f"{self.path} has no section {section!r}"
        rest = self.text[found.end() :]
        end = re.search(rf"^#{{1,{len(found[1])}}} ", _without_blocks(rest), re.MULTILINE)
        rest = rest[: end.start()] if end else rest
        return [block for one in _FENCE.findall(rest) if (block := Block(*one)).language in languages]

    def follow(self, section: str, shell: Shell) -> str:
        """Do what a section says, in its order. Returns all that was printed."""
        blocks = self.blocks(section, "sh", "console")
        assert blocks, f"{self.path}: {section!r} has no commands"
        return "".join(shell.play(block.text) if block.language == "console" else shell(block.text) for block in blocks)


class Shell:
    """A terminal whose programs are those of this environment, talking to one daemon."""

    def __init__(self, daemon: Daemon, **environment: str) -> None:
        self._daemon = daemon
        bin_dir = str(Path(sys.executable).parent)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WELTKLASSE_")}
        self._environment = {**inherited, "PATH": f"{bin_dir}:{os.environ['PATH']}", **environment}
        settings = {
            "PYTHONPATH": str(ROOT),
            "WELTKLASSE_STATE_DIR": str(daemon.directory / "state"),
            "WELTKLASSE_RUNTIME_DIR": str(daemon.directory / "run"),
            **daemon.settings,
        }
        said = " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())
        self._log = daemon.directory / "journalctl.txt"
        self._kept = daemon.directory / "variables.txt"
        self._before = (
            f'weltklassebot() {{ env {said} python -m weltklassebot "$@"; }}\n'
            f'journalctl() {{ cat "{self._log}"; }}\n'
            'sudo() { [ "$1 $2" != "-u weltklassebot" ] || shift 2; "$@"; }\n'
        )

    def __call__(self, block: str) -> str:
        """What the block prints. Variables that it sets are there for the blocks behind it."""
        return "".join(self._part(part) for part in _parts(block))

    def play(self, block: str) -> str:
        """A block of commands and what they print: what is shown must be what comes."""
        return "".join(self._shown(command, shown) for command, shown in _session(block))

    def _shown(self, command: str, shown: str) -> str:
        code, out = self.run(command)
        if not shown:
            assert code == 0, f"{command}\n{out}"
        else:
            pattern = ".*?".join(map(re.escape, shown.rstrip("\n").split("…")))
            assert re.fullmatch(pattern, out.rstrip("\n"), re.DOTALL), f"$ {command}\n{shown}\n--- but it is\n{out}"
        return out

    def _part(self, part: str) -> str:
        if service := _SERVICE(part):
            return self._service(service[1])
        done = self._bash(part)
        assert done.returncode == 0, f"{part}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, command: str) -> tuple[int, str]:
        """One command, whatever comes of it: its exit code, and all that it prints, errors too."""
        if service := _SERVICE(command):
            return 0, self._service(service[1])
        done = self._bash(command, together=True)
        return done.returncode, done.stdout

    def _bash(self, block: str, *, together: bool = False) -> subprocess.CompletedProcess[str]:
        self._log.write_text("".join(f"{line}\n" for line in self._daemon.text))
        names = re.findall(r"^([A-Z_]+)=", block, re.MULTILINE)
        keep = f"\ndeclare -p {' '.join(names)} > {self._kept}" if names else ""
        script = f"set -euo pipefail\n{self._before}{block}{keep}"
        done = subprocess.run(
            ["env", "--default-signal=INT", "bash", "-c", script.replace(DEFAULT, f"127.0.0.1:{self._daemon.port}")],
            env=self._environment,
            cwd=self._daemon.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        if names and done.returncode == 0:
            self._before += self._kept.read_text()
        return done

    def _service(self, verb: str) -> str:
        if verb in ("stop", "restart") and self._daemon.running:
            self._daemon.terminate()
        if verb in ("start", "restart"):
            self._daemon.start()
        return ""


def _without_blocks(text: str) -> str:
    """The same length, with nothing in its blocks that could pass for a heading."""
    return _FENCE.sub(lambda found: "x" * len(found[0]), text)


def _parts(block: str) -> Iterator[str]:
    """A script, cut where the service is started or stopped."""
    part = ""
    for line in block.splitlines(keepends=True):
        if not _SERVICE(line):
            part += line
            continue
        if part.strip():
            yield part
        yield line
        part = ""
    if part.strip():
        yield part


def _session(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a session, with what is shown behind it."""
    command, shown = "", ""
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], ""
        elif line.startswith("> ") and not shown:
            command += line[2:]
        else:
            shown += line
    assert command, f"no command in\n{block}"
    yield command, shown

"""A child runs the parent's own code, wherever somebody stands and whatever the environment says."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import weltklassebot
from tests.journal.journals import journal
from tests.traps import set_trap
from weltklassebot.journal.child_process import environment
from weltklassebot.journal.segments import segment_name
from weltklassebot.journal.store import JOURNAL

PACKAGE = Path(weltklassebot.__file__).parent
STARTS = {
    "subprocess": None,  # each function of it
    "multiprocessing": None,
    "concurrent.futures": {"ProcessPoolExecutor"},
    "pty": None,
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "os": {
        "system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile",
        *(f"{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    },
}  # fmt: skip
HARMLESS = {"Popen", "PIPE", "DEVNULL", "TimeoutExpired"}
"""Names of `subprocess` that a module may say in a type or an argument; `Popen` is not called."""


def starts(tree: ast.AST) -> set[str]:
    """What in a module starts a process."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if ast.unparse(node.func.value) == "subprocess" or name in STARTS["os"] | STARTS["asyncio"] | {
                "subprocess_exec", "subprocess_shell",
            }:  # fmt: skip
                found.add(name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "subprocess":
            found |= {node.attr} - HARMLESS
        elif isinstance(node, ast.ImportFrom):
            if node.module in STARTS:
                names = {alias.name for alias in node.names}
                kinds = STARTS[node.module]
                found |= names if kinds is None else names & kinds
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & {"multiprocessing", "pty"}
    return found


def test_there_is_one_way_to_start_a_process():
    found = {
        str(path.relative_to(PACKAGE)): what
        for path in PACKAGE.rglob("*.py")
        if (what := starts(ast.parse(path.read_text())))
    }
    assert found == {"journal/child_process.py": {"Popen"}}


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.execv('/bin/true', [])",
        "import os\nos.posix_spawn('/bin/true', [], {})",
        "import subprocess\nsubprocess.run([])",
        "import subprocess\nrun = subprocess.run",
        "from subprocess import Popen",
        "import multiprocessing",
        "from concurrent.futures import ProcessPoolExecutor",
        "await asyncio.create_subprocess_exec('true')",
        "await loop.subprocess_exec(None)",
    ],
)
def test_another_way_would_be_found(code: str):
    assert starts(ast.parse(code))


def test_a_child_is_told_no_secret_and_no_way_to_other_code():
    said = {
        "PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0",
        "PYTHONPATH": "/tmp", "PYTHONSTARTUP": "/tmp/x", "LD_PRELOAD": "/tmp/x.so", "WELTKLASSE_TOKEN": "secret",
        "CREDENTIALS_DIRECTORY": "/run/credentials", "NOTIFY_SOCKET": "/run/notify", "LISTEN_FDS": "3",
        "SSL_CERT_FILE": "/etc/ssl/desk.pem",
    }  # fmt: skip
    kept = ("PATH", "LC_ALL", "TZ", "PYTHONHASHSEED", "SSL_CERT_FILE")
    assert environment(said) == {name: said[name] for name in kept}


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A directory of somebody else, whose modules tell that they were run."""
    return set_trap(tmp_path)


alone = len(os.sched_getaffinity(0)) < 2


def in_three_segments(directory: Path) -> list[bytes]:
    """A journal of three files; its lines."""
    journal(directory, *[10] * 30)
    lines = (directory / JOURNAL).read_bytes().splitlines(keepends=True)
    for first in (0, 100):
        (directory / segment_name(first + 1)).write_bytes(b"".join(lines[first : first + 100]))
    (directory / JOURNAL).write_bytes(b"".join(lines[200:]))
    return lines


# As an installed command starts: nothing of the current directory is on its path yet, and it does read PYTHONPATH.
PROVE = """
import json, sys
from pathlib import Path
from weltklassebot.journal.ahead import lines_checked_ahead
from weltklassebot.journal.chain import Chain
from weltklassebot.journal.proving import Provers
from weltklassebot.journal.segments import closed_segments

store, chain = Path(sys.argv[1]), Chain()
segments = closed_segments(store)
with segments[0].path.open("rb") as file, Provers(store, Chain(), 1) as provers:
    lines = len(list(lines_checked_ahead(file, segments[0].path, chain, closed=True)))
    print(json.dumps([lines, chain.last_seq, provers.end_of(chain)[0]]))
"""


@pytest.mark.skipif(alone, reason="one core proves alone")
def test_a_proof_runs_no_code_of_the_current_directory(tmp_path: Path, trap: Path):
    """Neither of what is there, nor of what a variable points at; a relative path still counts from there."""
    in_three_segments(trap / "risk")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROVE, "risk"],
        cwd=trap, env=clean, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == [100, 100, 200], done.stderr.decode()
    assert not (tmp_path / "caught").exists()


@pytest.mark.skipif(alone, reason="one core proves alone")
def test_a_child_finds_the_package_where_its_parent_found_it(tmp_path: Path):
    """A package that only PYTHONPATH leads to, as in a test or from an archive that was unpacked."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "weltklassebot").symlink_to(PACKAGE)
    in_three_segments(tmp_path / "risk")
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROVE + "import weltklassebot; print(weltklassebot.__file__)", "risk"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "code")}, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    found, where = done.stdout.decode().splitlines()
    assert where == str(tmp_path / "code" / "weltklassebot" / "__init__.py")
    assert json.loads(found) == [100, 100, 200], done.stderr.decode()

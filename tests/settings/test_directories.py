"""Where the daemon is, read alone: as `load` says it, and whatever is wrong elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.daemon import ROOT
from weltklassebot.settings import SettingsError, directories, load

HOME = {"HOME": "/home/desk"}
GIVEN = {
    "WELTKLASSE_STATE_DIR": "/s", "WELTKLASSE_RUNTIME_DIR": "/r", "WELTKLASSE_RISK_STORE_DIR": "/j",
    "WELTKLASSE_SNAPSHOT_DIR": "/n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "environ"),
    [
        ("", HOME),
        ("", HOME | {"XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "/x"}),
        ("", HOME | {"RUNTIME_DIRECTORY": "/run/w", "STATE_DIRECTORY": "/var/lib/w"}),
        ("", HOME | {"STATE_DIRECTORY": "/a:/b"}),
        ('state_dir = "/file"', HOME),
        ('state_dir = "/file"\nruntime_dir = "~/run"', HOME),
        ('state_dir = "/file"\nrisk_store_dir = "relative"', HOME | {"WELTKLASSE_STATE_DIR": "/e"}),
        ("", GIVEN),
        ('runtime_dir = "/file"', GIVEN),
    ],
)
def test_they_are_those_of_the_daemon(tmp_path, monkeypatch, content, environ):
    monkeypatch.setenv("HOME", "/home/desk")
    file = tmp_path / "c.toml"
    file.write_text(content)
    settings = load(file, environ)
    assert directories(file, environ) == (settings.runtime_dir, settings.risk_store_dir, [])
    assert directories(None, environ | {"WELTKLASSE_CONFIG": str(file)})[:2] == directories(file, environ)[:2]
    assert directories(file, environ).admin_socket == settings.admin_socket


def test_a_credential_counts(tmp_path):
    (tmp_path / "weltklassebot_runtime_dir").write_text("/secret\n")
    (tmp_path / "weltklassebot_nonsense").write_text("x")
    environ = HOME | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert directories(None, environ)[::2] == (Path("/secret"), [])


@pytest.mark.parametrize(
    "content",
    ["a = 1\n", "[risk]\nmax_drawdown = 7\n", "metrics_port = 'x'\n", "[auth]\nadmin_group = 'weltklasse-trade'\n"],
)
def test_what_is_wrong_elsewhere_is_nobodys_business(tmp_path, content):
    file = tmp_path / "c.toml"
    file.write_text('runtime_dir = "/file"\n' + content)
    environ = HOME | {"WELTKLASSE_HOTS": "x", "WELTKLASSE_RISK__MAX_NOTIONAL": "-1", "WELTKLASSE_SYMBOLS": "{"}
    with pytest.raises(SettingsError):
        load(file, environ)
    assert directories(file, environ)[::2] == (Path("/file"), [])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"runtime_dir = ", "not valid TOML"),
        (b"\xff", "is not UTF-8 text"),
        (b"runtime_dir = 5", "runtime_dir: must be the path of a directory"),
        (b'runtime_dir = ""', "runtime_dir: must be the path of a directory"),
        (b'runtime_dir = "~nobody-here/x"', "no such user's home"),
        (b"runtime_dir = {}", "runtime_dir: must be the path of a directory"),
    ],
)
def test_a_file_that_says_nothing_leaves_the_environment_and_the_defaults(tmp_path, content, complaint):
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    for environ, expected in ((HOME, "/home/desk/.local/state/weltklassebot/run"), (HOME | GIVEN, "/r")):
        runtime, store, problems = directories(file, environ)
        assert runtime == Path(expected)
        assert store is not None
        if environ is HOME or "runtime_dir" not in complaint + content.decode(errors="replace"):
            assert complaint in problems[0]
    assert "cannot be read" in directories(tmp_path / "none", HOME).problems[0]


@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can be somebody else")
def test_nobodys_home():
    """Another uid in a container: no entry in passwd, and no HOME."""
    code = (
        "import os; import weltklassebot.settings as s; s.load; os.setuid(54321)\n"  # it need not read the checkout
        "print(s.directories())\n"
        "try: print(s.load().runtime_dir)\nexcept s.SettingsError as error: print(error)"
    )

    def run(**environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environ | {"PYTHONPATH": str(ROOT)},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(**GIVEN).splitlines()[1] == "/r"
    assert "PosixPath('/r')" in run(**GIVEN)
    said = run(WELTKLASSE_RUNTIME_DIR="/r")
    assert "PosixPath('/r'), risk_store_dir=None" in said
    assert said.count("state_dir: this user has no home: say WELTKLASSE_STATE_DIR") == 2
    assert run(STATE_DIRECTORY="/s").splitlines()[1] == "/s/run"

"""The command on the host reads variables from a file, and runs nothing of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

WRAPPER = Path(__file__).parents[2] / "systemd" / "weltklassebot.sh"


def told(tmp_path: Path, file: str, **environ: str) -> dict[str, str]:
    """What of WELTKLASSE_* the program is told, by the wrapper with its places set to the test's."""
    variables = tmp_path / "environment"
    variables.write_text(file)
    script = WRAPPER.read_text()
    assert script.count("/etc/weltklassebot/environment") == 2
    script = script.replace("/etc/weltklassebot/environment", str(variables))
    before, _, _ = script.rpartition("exec ")
    done = subprocess.run(
        ["/bin/sh", "-c", before + "exec env -0", "weltklassebot"],
        env={"PATH": os.environ["PATH"], **environ}, cwd=tmp_path, capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == b""
    pairs = (pair.partition("=") for pair in done.stdout.decode().split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("WELTKLASSE_")}


PLACES = {
    "WELTKLASSE_CONFIG": "/etc/weltklassebot/config.toml",
    "WELTKLASSE_RUNTIME_DIR": "/run/weltklassebot",
    "WELTKLASSE_STATE_DIR": "/var/lib/weltklassebot",
    "WELTKLASSE_RISK_STORE_DIR": "/var/lib/weltklasse/risk",
    "WELTKLASSE_SNAPSHOT_DIR": "/var/lib/weltklassebot/snapshots",
}


def test_a_variable_of_the_file_counts_unless_the_caller_says_another(tmp_path: Path):
    file = (
        "# WELTKLASSE_HOST=commented\nWELTKLASSE_HOST=::1\nWELTKLASSE_RUNTIME__LOG_LEVEL=debug=$(id)\nPATH=/nowhere\n"
    )
    assert told(tmp_path, file) == {
        **PLACES, "WELTKLASSE_HOST": "::1", "WELTKLASSE_RUNTIME__LOG_LEVEL": "debug=$(id)",
    }  # fmt: skip
    assert told(tmp_path, file, WELTKLASSE_HOST="")["WELTKLASSE_HOST"] == ""


@pytest.mark.parametrize(
    "name",
    [
        "WELTKLASSE_A+x}$(touch caught)${B",
        "WELTKLASSE_A`touch caught`",
        'WELTKLASSE_A" ]; touch caught; [ "',
        "WELTKLASSE_A;touch caught;B",
        "WELTKLASSE_A B",
        "WELTKLASSE_.*",
    ],
)
def test_no_name_is_evaluated(tmp_path: Path, name: str):
    assert told(tmp_path, f"{name}=1\nWELTKLASSE_HOST=::1\n") == {**PLACES, "WELTKLASSE_HOST": "::1"}
    assert not (tmp_path / "caught").exists()


def test_no_script_of_ours_evaluates_text():
    root = WRAPPER.parents[1]
    scripts = [*root.glob("systemd/*.sh"), *root.glob("ops/**/*.sh"), *root.glob("ops/deb/p*")]
    assert len(scripts) >= 8
    found = [str(script) for script in scripts if "eval " in script.read_text()]
    assert not found

"""What a build packs is what the checkout holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.daemon.daemon import ROOT

pytestmark = pytest.mark.slow


def test_a_module_that_is_gone_does_not_come_back_with_a_build_of_before(tmp_path: Path) -> None:
    checkout, wheels = tmp_path / "checkout", tmp_path / "wheels"
    checkout.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "weltklassebot", checkout / "weltklassebot", ignore=shutil.ignore_patterns("__pycache__"))
    gone = Path("weltklassebot") / "core" / "gone.py"
    for place in ("build/lib", "build/bdist.linux-x86_64/wheel"):
        (checkout / place / gone).parent.mkdir(parents=True)
        (checkout / place / gone).write_text("raise SystemExit\n")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, wheels, checkout], check=True, timeout=120)
    (wheel,) = wheels.iterdir()
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("weltklassebot/")}
    sources = {path.relative_to(checkout).as_posix() for path in (checkout / "weltklassebot").rglob("*.py")}
    assert packed == sources | {"weltklassebot/py.typed"}

"""`var validate` on large tables, as its users run it: time and the most memory of the whole command.

`python -m tests.bench.tables COMMIT` runs an older commit's command on the same files, in turns with ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.daemon.daemon import ROOT

Row = tuple[str, str, str, str]
PORTFOLIOS, DAYS, ROWS = 5_000, 250, 10_000_000
_ROUNDS = 3
_MEASURED = """
import resource, subprocess, sys, time
began = time.perf_counter()
command = [sys.executable, "-P", "-m", "weltklassebot", *sys.argv[1:]]
code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
took = time.perf_counter() - began
print(code, took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class Measured(NamedTuple):
    seconds: float
    mebibytes: float


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments, goal in cases(Path(folder)):
            found = measured(ROOT, arguments)
            yield f"VaR: {name}", f"{found.seconds:.1f} s", f"{found.mebibytes:.0f} MiB", goal


def cases(folder: Path) -> Iterator[tuple[str, list[str], str]]:
    written = folder / "portfolios.csv"
    write_portfolios(written)
    outputs = ["--json-file", str(folder / "answer.json"), "--html", str(folder / "report.html")]
    arguments = ["var", "validate", str(written), "--portfolio", "desk", "--dates", "date", *outputs]
    yield f"{PORTFOLIOS:,} portfolios x {DAYS} days, with HTML and JSON", arguments, "at most 350 MiB"
    written = folder / "rows.csv"
    write_rows(written)
    yield f"a CSV of {ROWS:,} rows", ["var", "validate", str(written)], "at most 1,024 MiB"


def measured(root: Path, arguments: list[str]) -> Measured:
    """A red light is an answer like any other."""
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _MEASURED, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    code, seconds, kibibytes = done.stdout.split()
    assert code in ("0", "1"), done.stderr
    return Measured(float(seconds), int(kibibytes) / 1024)


def write_portfolios(path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    days = np.busday_offset("2023-01-02", np.arange(DAYS)).astype(str).tolist()
    with path.open("w") as out:
        out.write("date,desk,return,var\n")
        for desk in range(PORTFOLIOS):
            gains, risks = 0.01 * rng.standard_t(5, DAYS), 0.0255 + 0.003 * rng.random(DAYS)
            lines = zip(days, gains, risks, strict=True)
            out.writelines(f"{day},desk{desk:04d},{gain:.6f},{risk:.6f}\n" for day, gain, risk in lines)


def write_rows(path: Path) -> None:
    """Blocks of a hundred thousand different rows: what is in them costs nothing here."""
    import numpy as np

    rng, block = np.random.default_rng(2), 100_000
    lines = zip(0.01 * rng.standard_normal(block), 0.023263 + 0.0001 * rng.random(block), strict=True)
    text = "".join(f"{gain:.6f},{risk:.6f}\n" for gain, risk in lines)
    with path.open("w") as out:
        out.write("return,var\n")
        out.writelines(text for _ in range(ROWS // block))


def main(commit: str) -> None:
    from tests.bench.commits import tree

    with tempfile.TemporaryDirectory() as folder, tree(commit, Path(folder)) as older:
        for name, arguments, goal in cases(Path(folder)):
            pairs = [(measured(older, arguments), measured(ROOT, arguments)) for _ in range(_ROUNDS)]
            before, now = (
                Measured(*(median(values) for values in zip(*side, strict=True))) for side in zip(*pairs, strict=True)
            )
            print(
                f"{name}: {now.seconds:.1f} s and {now.mebibytes:.0f} MiB ({goal}), "
                f"{commit} {before.seconds:.1f} s and {before.mebibytes:.0f} MiB: "
                f"{now.seconds / before.seconds:.2f} and {now.mebibytes / before.mebibytes:.2f} times"
            )


if __name__ == "__main__":
    main(sys.argv[1])

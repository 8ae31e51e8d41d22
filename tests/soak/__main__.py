"""`python -m tests.soak`: the soak for a terminal."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from tests.durability.disk import LoopDisk, why_not
from tests.soak.run import Figures, Soak

DISK_MIB = 1024
"""Sparse: it takes what is written."""


@click.command(help=(sys.modules["tests.soak"].__doc__ or "").replace("\n\n", "\n\n\b\n"))
@click.option("--minutes", type=click.FloatRange(min=0.0, min_open=True), default=1.0, show_default=True)
@click.option("--seed", type=int, help="Of the loads and ends that are drawn; printed if it is not given.")
def main(minutes: float, seed: int | None) -> None:
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    directory = Path(tempfile.mkdtemp(prefix="wkb-soak-", dir="/tmp"))
    reason = why_not()
    click.echo(f"seed {seed}, {minutes:g} minutes, in {directory}")
    if reason is not None:
        click.echo(f"without power cuts and broken disks: {reason}")
    with ExitStack() as stack:
        disk = None if reason is not None else stack.enter_context(LoopDisk(directory, mib=DISK_MIB))
        soak = Soak(directory, disk, seed)
        stack.callback(soak.daemon.end)
        try:
            _run(soak, minutes * 60)
        except BaseException:
            # The disk goes with this process; what the next one wants to look at is copied beside it.
            soak.daemon.end()
            click.echo("\n".join(soak.daemon.text[-20:]), err=True)
            with suppress(OSError):  # there may be no disk to read from
                shutil.copytree(soak.daemon.store, directory / "found")
            click.echo(f"seed {seed}, run {soak.figures.runs.total()}: the store is in {directory / 'found'}", err=True)
            raise
    shutil.rmtree(directory)
    click.echo(f"{minutes:g} minutes, seed {seed}: {soak.figures}")


def _run(soak: Soak, seconds: float) -> None:
    started = time.monotonic()
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=int(seconds), label="soaking", file=sys.stderr, hidden=hidden) as bar:

        def tell(_: Figures) -> None:
            bar.update(int(time.monotonic() - started) - bar.pos)

        soak.run(seconds, tell)


if __name__ == "__main__":
    main()

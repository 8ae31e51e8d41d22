"""A real container engine on a machine of its own: podman with runc, an image that is built from the Containerfile.

There is no registry for images here. The base image is a bare tree that bears Debian's name; its programs are the
machine's own, mounted read-only by the engine's configuration. All else is as the Containerfile says.
"""

from __future__ import annotations

import resource
from pathlib import Path

from tests.service.machine import Machine

__all__ = ["BASE", "ENGINE_BUILDS", "NEEDED", "prepare"]

NEEDED = ("unshare", "nsenter", "setpriv", "systemctl", "systemd-tmpfiles", "ip", "curl", "podman", "runc", "conmon")
BASE = "docker.io/library/debian:12-slim"
ENGINE_BUILDS = (
    'podman() { if [ "$1" = build ]; then CONTAINERS_CONF=/etc/containers/build.conf BUILDAH_ISOLATION=chroot '
    'command podman "$@"; else command podman "$@"; fi; }\n'
)
"""For the shell in which an image is built."""
_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/share")

_STORAGE = """\
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/tmp/containers"
"""
_CONTAINERS = """\
[containers]
netns = "host"
pids_limit = 0
cgroups = "no-conmon"
default_ulimits = [{limits}]
volumes = [{volumes}]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


def prepare(machine: Machine) -> None:
    """Configure the engine and make the base image. While an image is built, packages come from the tests' wheels."""
    programs = [f"{path}:{path}:ro" for path in _PROGRAMS]
    machine("printf '#!/bin/sh\\n' >/usr/local/bin/nothing-to-install; chmod 755 /usr/local/bin/nothing-to-install")
    build = [
        *programs,
        "/usr/local/bin/nothing-to-install:/usr/bin/apt-get:ro",
        "/etc/containers/pip.conf:/etc/pip.conf:ro",
        "/mnt/wheels:/mnt/wheels:ro",
    ]
    _write(machine, "/etc/containers/storage.conf", _STORAGE)
    _write(machine, "/etc/containers/containers.conf", _configuration(programs))
    _write(machine, "/etc/containers/build.conf", _configuration(build))
    _write(machine, "/etc/containers/pip.conf", "[global]\nno-index = true\nfind_links = /mnt/wheels\n")
    made = " ".join(path.lstrip("/") for path in _PROGRAMS)
    machine(f"""mkdir /tmp/base && cd /tmp/base
        mkdir --parents {made} usr/local/bin etc tmp run var proc sys dev root opt
        for name in bin sbin lib lib64; do ln --symbolic "usr/$name" "$name"; done
        tar --create . | podman import --quiet - {BASE}""")


def _configuration(volumes: list[str]) -> str:
    # No limit is above the machine's own: to raise one takes a capability that these tests may not have.
    hard = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    most = {name: _at_most(20_000, resource.getrlimit(number)[1]) for name, number in hard.items()}
    return _CONTAINERS.format(
        limits=_listed([f"{name}={value}:{value}" for name, value in most.items()]),
        volumes=_listed(volumes),
    )


def _at_most(wanted: int, limit: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, limit)


def _listed(values: list[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def _write(machine: Machine, path: str, text: str) -> None:
    machine(f"mkdir --parents {Path(path).parent} && cat >{path} <<'END'\n{text}END")

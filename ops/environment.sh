#!/usr/bin/env bash
# Makes the environment `.venv` in the checkout: `ops/environment.sh run|dev|debian|bench`.
#
#   run     what the daemon needs        (requirements.lock)
#   dev     what tests and checks need   (requirements-dev.lock, a superset with the same versions)
#   debian  the Debian packages that tests drive (strace, curl, ...), when they may be installed
#   bench   the load generator, when it may be installed, and `.venv/bench` with the packages that VaR validation is
#           measured against (requirements-bench.lock): they are no dependency of ours
#
# A stamp holds the hash of the locks, of the package and of the interpreter; when it differs, the environment is
# made afresh, so an old one never serves. Every package is pinned by hash, the build backend too. Which registry is
# asked is decided by the machine's own pip configuration. Needs bash, coreutils, util-linux and python3 alone.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv
# Where the environment is active, `python3` is the one that is taken away when it is made afresh.
case $(command -v "$PYTHON" || true) in
  "$PWD/$VENV"/*) PYTHON=$("$PYTHON" -c 'import sys; print(sys._base_executable)') ;;
esac
DEBIAN_PACKAGES_FOR_TESTS=(
  strace curl jq util-linux procps mount e2fsprogs faketime iproute2 logrotate python3-venv systemd chromium wget
  podman runc
)
DEBIAN_PACKAGES_FOR_BENCH=(wrk)
# Unpacked into the environment and not installed: a package that is installed starts its service.
DEBIAN_TOOLS_FOR_TESTS=(prometheus prometheus-alertmanager haproxy)
# What Debian's haproxy is linked with and a small system has not.
DEBIAN_LIBRARIES_FOR_TESTS=(liblua5.3-0 libopentracing-c-wrapper0 libopentracing1)

fail() { echo "$*" >&2; exit 1; }

# Prints the prefix with which apt-get can run, or fails.
may_install() {
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" = 0 ]; then return 0; fi
  command -v sudo >/dev/null && sudo -n true 2>/dev/null && printf 'sudo -n '
}

# install_debian PACKAGE...  installs what is not there yet.
install_debian() {
  local missing=() name as
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  as=$(may_install) || return 1
  echo "installing Debian packages: ${missing[*]}" >&2
  ${as}env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null || true # old lists may do
  ${as}env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" >/dev/null </dev/null
}

# unpack_debian PACKAGE...  puts what is in it below $VENV/debian. Needs no rights.
unpack_debian() {
  local name place
  command -v apt-get >/dev/null || return 1
  for name in "$@"; do
    [ ! -e "$VENV/debian/.has-$name" ] || continue
    echo "fetching Debian package: $name" >&2
    place=$(mktemp -d)
    (cd "$place" && apt-get download -qq "$name" >/dev/null 2>&1 </dev/null) ||
      { may_update && (cd "$place" && apt-get download -qq "$name" >/dev/null 2>&1 </dev/null); } ||
      { rm -rf "$place"; return 1; }
    mkdir -p "$VENV/debian"
    dpkg -x "$place"/*.deb "$VENV/debian"
    touch "$VENV/debian/.has-$name"
    rm -rf "$place"
  done
}

# Fresh package lists, where that is allowed.
may_update() {
  local as
  as=$(may_install) || return 1
  ${as}apt-get update -qq </dev/null
}

require_python() {
  command -v "$PYTHON" >/dev/null || fail "$PYTHON is not installed: install Python 3.11 or newer"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$PYTHON" --version) is too old: install Python 3.11 or newer, and say PYTHON=/path/to/it if it is not python3"
  has_venv && return 0
  # Debian and Ubuntu keep ensurepip in a package of its own.
  install_debian python3-venv || fail "$PYTHON cannot make environments: run 'apt-get install python3-venv' as root, then again"
  has_venv || fail "$PYTHON cannot make environments even with python3-venv: is it the system's python3?"
}

has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

key() {
  { cat requirements.lock requirements-dev.lock
    sed '/^\[tool\.ruff\]/q' pyproject.toml # what the package is; how it is checked changes no environment
    "$PYTHON" -c 'import os, sys; print(sys.version, os.path.realpath(sys.executable))'
    pwd # an environment does not survive a move
  } | sha256sum | cut -d' ' -f1
}

has() { [ "$(cat "$VENV/.stamp-$1" 2>/dev/null)" = "$KEY" ]; }

# install LOCK [ENVIRONMENT]
install() {
  # The pinned setuptools comes with the first lock, so that nothing is built with an unpinned one.
  "${2:-$VENV}/bin/python" -m pip install -q --require-hashes --no-deps --no-build-isolation --use-pep517 -r "$1" </dev/null
}

make_environment() {
  local kind=$1
  KEY=$(key)
  has "$kind" && return 0
  require_python
  KEY=$(key)
  if ! has run; then
    echo "making $VENV ..." >&2
    rm -rf "$VENV"
    "$PYTHON" -m venv "$VENV"
    install requirements.lock
    "$VENV/bin/python" -m pip install -q --no-deps --no-build-isolation -e . </dev/null
    echo "$KEY" >"$VENV/.stamp-run"
  fi
  if [ "$kind" = dev ]; then
    echo "installing what tests and checks need ..." >&2
    install requirements-dev.lock
    echo "$KEY" >"$VENV/.stamp-dev"
  fi
}

make_bench_environment() {
  local key
  key=$({ cat requirements-bench.lock; "$PYTHON" -c 'import os, sys; print(sys.version, os.path.realpath(sys.executable))'; pwd; } | sha256sum)
  [ "$(cat "$VENV/bench/.stamp" 2>/dev/null)" != "$key" ] || return 0
  echo "installing what is measured beside ..." >&2
  rm -rf "$VENV/bench"
  "$PYTHON" -m venv "$VENV/bench" && install requirements-bench.lock "$VENV/bench" && echo "$key" >"$VENV/bench/.stamp"
}

case ${1:-} in
  run | dev)
    # One at a time: the lock is on the checkout itself and ends with this process.
    exec 9<.
    flock 9
    make_environment "$1"
    ;;
  debian)
    install_debian "${DEBIAN_PACKAGES_FOR_TESTS[@]}" ||
      echo "not installed: some of ${DEBIAN_PACKAGES_FOR_TESTS[*]}; tests that need them say so and are skipped" >&2
    unpack_debian "${DEBIAN_TOOLS_FOR_TESTS[@]}" "${DEBIAN_LIBRARIES_FOR_TESTS[@]}" ||
      echo "not fetched: some of ${DEBIAN_TOOLS_FOR_TESTS[*]} ${DEBIAN_LIBRARIES_FOR_TESTS[*]}; tests that need them say so and are skipped" >&2
    ;;
  bench)
    install_debian "${DEBIAN_PACKAGES_FOR_BENCH[@]}" ||
      echo "not installed: ${DEBIAN_PACKAGES_FOR_BENCH[*]}; the rows that need it are left out" >&2
    make_bench_environment ||
      echo "not installed: requirements-bench.lock; rows of VaR validation have nothing beside them" >&2
    ;;
  *) fail "usage: $0 run|dev|debian|bench" ;;
esac

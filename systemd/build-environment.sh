#!/usr/bin/env bash
# Makes the environment that the service runs in: `systemd/build-environment.sh DIRECTORY FINAL`.
#
# DIRECTORY is made afresh and may be moved to FINAL afterwards: nothing in it names its own place. It holds the pinned
# dependencies, checked by hash, and this checkout's package; neither pip nor a compiler. Which registry is asked is
# decided by the machine's own pip configuration. PYTHON says which interpreter (/usr/bin/python3).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 2 ] || { echo "usage: $0 DIRECTORY FINAL" >&2; exit 2; }

directory=$1 final=$2
rm -rf "$directory"
"${PYTHON:-/usr/bin/python3}" -m venv "$directory"
python=$directory/bin/python
pip() { "$python" -m pip --disable-pip-version-check "$@" </dev/null; }

pip install -q --no-compile --require-hashes --no-deps --no-build-isolation --use-pep517 -r requirements.lock
# From a copy: a build leaves files behind, and the checkout may be somebody else's.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R pyproject.toml README.md weltklassebot "$copy"
pip install -q --no-compile --no-deps --no-build-isolation "$copy"
pip uninstall -q -y setuptools pip

# Scripts carry the path at which they were made; the service needs none of them.
find "$directory/bin" -mindepth 1 ! -name 'python*' -delete
sed -i '/^command = /d' "$directory/pyvenv.cfg"
rm -f "$directory/.gitignore"
"$python" -m compileall -q -j 0 -s "$directory" -p "$final" "$directory"/lib/python*/site-packages

# Sourced by each finding: a folder of its own that goes away, and an interpreter with the packages that are named.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
install() {
    python3 -m venv env >install.log 2>&1 && env/bin/pip install --quiet --disable-pip-version-check "$@" >>install.log 2>&1 || {
        tail -n 3 install.log >&2
        exit 2
    }
}

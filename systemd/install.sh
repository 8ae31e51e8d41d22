#!/usr/bin/env bash
# Installs this checkout as a service, or upgrades it: `sudo systemd/install.sh`. Asks nothing; a second run changes nothing.
#
#   /opt/weltklassebot/versions/ID    an environment of its own for each version; the three newest stay
#   /opt/weltklassebot/current        which of them runs: a link, switched in one step
#   /etc/weltklassebot/               config.toml, environment, credentials/: made once, never touched again
#   /etc/systemd/system, /etc/sysusers.d, /etc/tmpfiles.d, /usr/local/bin/weltklassebot
#
# Data lies in /var/lib/weltklassebot and /var/lib/weltklasse/risk. `systemd/uninstall.sh` takes the rest away again.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

PYTHON=${PYTHON:-/usr/bin/python3}
HOME_DIR=/opt/weltklassebot
UNITS=(weltklassebot.service weltklassebot.socket weltklassebot-admin.socket weltklassebot-orders.socket)
KEPT_VERSIONS=3
REASON= # for a restart
export PYTHON

fail() { echo "install.sh: $*" >&2; exit 1; }
say() { echo "$*"; }

# put FILE DESTINATION MODE  copies what differs.
put() {
  if cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$3" ]; then return; fi
  install -D -m "$3" "$1" "$2"
  say "installed $2"
  case $2 in */systemd/system/*) REASON="its units changed" ;; esac
}

require() {
  [ "$(id -u)" = 0 ] || fail "run it as root"
  command -v systemctl >/dev/null || fail "there is no systemd here"
  [ -x "$PYTHON" ] || fail "$PYTHON is not installed: install Python 3.11 or newer, or say PYTHON=/path/to/it"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$PYTHON is older than Python 3.11"
  if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
  # Debian and Ubuntu keep ensurepip in a package of its own.
  command -v apt-get >/dev/null || fail "$PYTHON cannot make environments"
  say "installing the Debian package python3-venv"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq </dev/null || true # old lists may do
  apt-get install -y -qq --no-install-recommends python3-venv </dev/null >/dev/null
}

# What the environment is made of, as a name: the version and a hash.
version_id() {
  local version
  version=$(sed -n 's/^__version__.*= "\(.*\)"$/\1/p' weltklassebot/__init__.py)
  { find weltklassebot -name '*.py' -o -name py.typed | sort | xargs cat
    cat requirements.lock pyproject.toml systemd/build-environment.sh
    "$PYTHON" -c 'import sys; print(sys.version)'
  } | sha256sum | { read -r hash _; echo "$version-${hash:0:12}"; }
}

install_version() {
  local id=$1 directory=$HOME_DIR/versions/$1
  if [ ! -d "$directory" ]; then
    say "making $directory"
    mkdir -p "$HOME_DIR/versions"
    systemd/build-environment.sh "$HOME_DIR/versions/.new" "$directory"
    mv -T "$HOME_DIR/versions/.new" "$directory"
  fi
  if [ "$(readlink "$HOME_DIR/current")" = "versions/$id" ]; then return; fi
  # What serves now is the way back, however old it is: it stays.
  if [ -d "$HOME_DIR/current" ]; then touch "$HOME_DIR/current/"; fi
  ln -sfn "versions/$id" "$HOME_DIR/.current.new"
  mv -T "$HOME_DIR/.current.new" "$HOME_DIR/current"
  touch "$directory" # the newest, whenever it was made
  REASON="version $id"
  say "$HOME_DIR/current is version $id"
}

drop_old_versions() {
  local name
  find "$HOME_DIR/versions" -mindepth 1 -maxdepth 1 -printf '%T@ %f\n' | sort -rn | tail -n "+$((KEPT_VERSIONS + 1))" |
    while read -r _ name; do
      rm -rf "${HOME_DIR:?}/versions/$name"
      say "removed version $name"
    done
}

install_files() {
  local unit
  for unit in "${UNITS[@]}"; do put "systemd/$unit" "/etc/systemd/system/$unit" 644; done
  [ -z "$REASON" ] || systemctl daemon-reload
  put systemd/weltklassebot.sh /usr/local/bin/weltklassebot 755
  put systemd/weltklassebot.sysusers /etc/sysusers.d/weltklassebot.conf 644
  put systemd/weltklassebot.tmpfiles /etc/tmpfiles.d/weltklassebot.conf 644
  systemd-sysusers /etc/sysusers.d/weltklassebot.conf
  systemd-tmpfiles --create /etc/tmpfiles.d/weltklassebot.conf
  [ -e /etc/weltklassebot/config.toml ] || put ops/config.example.toml /etc/weltklassebot/config.toml 644
  [ -e /etc/weltklassebot/environment ] || put systemd/environment /etc/weltklassebot/environment 644
}

start() {
  systemctl is-enabled -q "${UNITS[@]}" 2>/dev/null || { systemctl enable -q "${UNITS[@]}"; say "enabled"; }
  # A socket that listens already goes on listening: nobody is refused.
  systemctl start "${UNITS[@]:1}"
  if ! systemctl is-active -q weltklassebot.service; then
    systemctl start weltklassebot.service
    say "started"
  elif [ -n "$REASON" ]; then
    systemctl restart weltklassebot.service
    say "restarted: $REASON"
  fi
}

require
id=$(version_id)
install_files
install_version "$id"
drop_old_versions
/usr/local/bin/weltklassebot config check >/dev/null || fail "the settings are wrong: mend them, then run it again"
start
say "weltklassebot $id serves: weltklassebot status"

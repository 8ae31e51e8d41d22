#!/bin/sh
# The command on the host: the installed version, with the settings of the service wherever the caller says no others.
set -eu

# what the service is told in its unit and in its environment file
: "${WELTKLASSE_CONFIG=/etc/weltklassebot/config.toml}"
: "${WELTKLASSE_RUNTIME_DIR=/run/weltklassebot}"
: "${WELTKLASSE_STATE_DIR=/var/lib/weltklassebot}"
: "${WELTKLASSE_RISK_STORE_DIR=/var/lib/weltklasse/risk}"
: "${WELTKLASSE_SNAPSHOT_DIR=/var/lib/weltklassebot/snapshots}"
export WELTKLASSE_CONFIG WELTKLASSE_RUNTIME_DIR WELTKLASSE_STATE_DIR WELTKLASSE_RISK_STORE_DIR WELTKLASSE_SNAPSHOT_DIR
if [ -r /etc/weltklassebot/environment ]; then
  while IFS= read -r line; do
    name=${line%%=*}
    case $name in
      *[!A-Z0-9_]* | "$line") continue ;; # no name, or no value: nothing of it is taken for a word of the shell
      WELTKLASSE_[A-Z]*) printenv "$name" >/dev/null || export "${line?}" ;;
    esac
  done </etc/weltklassebot/environment
fi

# -P: nothing from the directory in which the caller happens to be.
exec /opt/weltklassebot/current/bin/python -P -m weltklassebot "$@"

#!/usr/bin/env bash
# Takes the service away and leaves the data: `sudo systemd/uninstall.sh`. Asks nothing; a second run changes nothing.
set -euo pipefail

UNITS=(weltklassebot.service weltklassebot.socket weltklassebot-admin.socket weltklassebot-orders.socket)
FILES=("${UNITS[@]/#//etc/systemd/system/}" /etc/sysusers.d/weltklassebot.conf /etc/tmpfiles.d/weltklassebot.conf
  /usr/local/bin/weltklassebot /opt/weltklassebot)

[ "$(id -u)" = 0 ] || { echo "uninstall.sh: run it as root" >&2; exit 1; }

# The sockets with it: a connection would start it again.
systemctl disable -q --now "${UNITS[@]}" 2>/dev/null || true
for file in "${FILES[@]}"; do
  [ -e "$file" ] || continue
  rm -rf "$file"
  echo "removed $file"
done
systemctl daemon-reload
systemctl reset-failed "${UNITS[@]}" 2>/dev/null || true

echo "left: /var/lib/weltklasse/risk and /var/lib/weltklassebot (the journal, tokens), /etc/weltklassebot (settings),"
echo "      /run/weltklassebot (a latched stop), the user weltklassebot and its groups, who own them"

#!/usr/bin/env bash
# Builds dist/weltklassebot_VERSION_ARCH.deb: what systemd/install.sh does, as a package. `make deb`; needs dpkg-deb.
#
# The environment is made here, with the pinned packages, for this machine's Python (PYTHON, /usr/bin/python3): whoever
# installs the package needs the same minor version of it, and no registry.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022

PYTHON=${PYTHON:-/usr/bin/python3}
export PYTHON
command -v dpkg-deb >/dev/null || { echo "build.sh: there is no dpkg-deb here" >&2; exit 1; }

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' weltklassebot/__init__.py)
architecture=$(dpkg --print-architecture)
python=$("$PYTHON" -c 'import sys; print("%d.%d %d.%d" % (*sys.version_info[:2], sys.version_info[0], sys.version_info[1] + 1))')
final=/opt/weltklassebot/versions/$version-deb
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

put() { install -D -m "$3" "$1" "$tree$2"; }

for unit in systemd/*.service systemd/*.socket; do put "$unit" "/usr/lib/systemd/system/${unit##*/}" 644; done
put systemd/weltklassebot.sysusers /usr/lib/sysusers.d/weltklassebot.conf 644
put systemd/weltklassebot.tmpfiles /usr/lib/tmpfiles.d/weltklassebot.conf 644
put systemd/weltklassebot.sh /usr/bin/weltklassebot 755
put ops/config.example.toml /etc/weltklassebot/config.toml 644
put systemd/environment /etc/weltklassebot/environment 644
mkdir -p "$tree/opt/weltklassebot/versions"
systemd/build-environment.sh "$tree$final" "$final"
ln -s "versions/${final##*/}" "$tree/opt/weltklassebot/current"

mkdir "$tree/DEBIAN"
install -m 755 ops/deb/postinst ops/deb/prerm ops/deb/postrm "$tree/DEBIAN"
printf '/etc/weltklassebot/%s\n' config.toml environment >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: weltklassebot
Version: $version
Architecture: $architecture
Maintainer: the desk <root@localhost>
Depends: python3 (>= ${python% *}), python3 (<< ${python#* }), systemd (>= 250)
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Section: net
Priority: optional
Description: risk authority of a trading desk
 One daemon that answers before every order, and never forgets an answer.
CONTROL

mkdir -p dist
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "dist/weltklassebot_${version}_$architecture.deb"

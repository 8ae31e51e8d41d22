#!/bin/sh
# Becomes the systemd of a machine of its own: `boot.sh ROOT CHECKOUT WHEELS`, in fresh namespaces of process ids, mounts,
# host name, IPC, cgroups and network. Its root is an overlay on the host's; all that it writes is in memory.
set -eu
root=$1 checkout=$2 wheels=$3

mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/merged"
mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" overlay "$root/merged"
cd "$root/merged"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
for name in null zero full random urandom tty; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for name in run tmp var/tmp var/log; do mount -t tmpfs -o mode=1777 tmpfs "$name"; done
chmod 0755 run var/log
mkdir -p mnt/checkout mnt/wheels
mount --bind "$checkout" mnt/checkout
mount -o remount,bind,ro mnt/checkout
mount --bind "$wheels" mnt/wheels

# Nothing of the host's own units and users' directories; only what a bare system needs to come up.
rm -rf etc/systemd/system etc/systemd/network var/lib/systemd opt/weltklassebot var/lib/weltklasse* etc/weltklassebot
mkdir -p etc/systemd/system/bare.target.wants var/log/journal
printf '[Unit]\nDescription=bare\nRequires=sysinit.target basic.target\nAfter=sysinit.target basic.target\n' \
  >etc/systemd/system/multi-user.target
for unit in systemd-udevd systemd-udev-trigger systemd-networkd systemd-resolved systemd-timesyncd systemd-logind \
  systemd-hwdb-update systemd-modules-load getty; do
  ln -sf /dev/null "etc/systemd/system/$unit.service"
done
: >etc/machine-id
: >etc/fstab

mkdir old
pivot_root . old
umount -l old
mount --make-rshared / # as a container manager leaves it: credentials reach a service by propagation
exec env -i container=namespace PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no

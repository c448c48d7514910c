#!/bin/sh
# Runs systemd as the first process of a machine of its own: namespaces and a cgroup, over this system's programs read as they are.
# It writes to nothing of this system but the cgroup, which the caller removes. As root; ends when the process of this script is killed.
#
#     machine.sh check                          ends with 0 where this works
#     machine.sh CGROUP FOLDER ROOT NODE        FOLDER: units/, secrets/; ROOT: the checkout
#
# The machine has /usr/local/bin/linksocks, units/* in /etc/systemd/system, secrets/* in /etc/linksocks and FOLDER itself at /mnt/shared.
# The network is shared, so ports must be free.
set -eu

SYSTEMD=/usr/lib/systemd/systemd

NAMESPACES='--cgroup --mount --propagation private --pid --uts --ipc --fork --kill-child --mount-proc'

if [ "$1" = check ]; then
  [ "$(id -u)" = 0 ] && [ -x "$SYSTEMD" ]
  unshare $NAMESPACES sh -euc '
    mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/cgroup
    mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work overlay /etc
    mount -t cgroup2 none /mnt/cgroup'
  exit
fi

if [ "$1" != inside ]; then
  mkdir "$1"
  echo $$ > "$1/cgroup.procs"
  shift
  exec unshare $NAMESPACES sh "$0" inside "$@"
fi
shift
folder=$1 root=$2 node=$3

# what lies below the folders that are covered next
mount -t tmpfs -o mode=755 mnt /mnt
mkdir /mnt/shared /mnt/root /mnt/dev /mnt/up /mnt/work
touch /mnt/node
mount --bind "$folder" /mnt/shared
mount --bind "$root" /mnt/root
mount --bind "$node" /mnt/node
mount --rbind /dev /mnt/dev

mount -t tmpfs -o mode=755 dev /dev
for name in null zero full random urandom tty; do
  touch "/dev/$name"
  mount --bind "/mnt/dev/$name" "/dev/$name"
done
mkdir /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${number%:*}" "/dev/${number#*:}"; done

mount -t overlay -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work overlay /etc
rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system /etc/linksocks
cp -R /mnt/shared/units/. /etc/systemd/system/
cp -R /mnt/shared/secrets/. /etc/linksocks/

# of this system's units only those that do nothing by themselves
mkdir /mnt/targets
cp /usr/lib/systemd/system/*.target /usr/lib/systemd/system/*.slice /mnt/targets/
mount -t tmpfs -o mode=755 units /usr/lib/systemd/system
cp /mnt/targets/* /usr/lib/systemd/system/
mount -t tmpfs generators /usr/lib/systemd/system-generators

mount -t tmpfs -o mode=755 opt /opt
mkdir /opt/linksocks
mount --bind /mnt/root /opt/linksocks
mount -t tmpfs -o mode=755 bin /usr/local/bin
touch /usr/local/bin/node
mount --bind /mnt/node /usr/local/bin/node
ln -s /opt/linksocks/bin/linksocks.js /usr/local/bin/linksocks

mount -t tmpfs -o mode=755 var /var
mkdir /var/lib /var/log /var/tmp /var/cache
chmod 1777 /var/tmp
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp

umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# the kernel's settings are this system's
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
mount -o remount,bind,ro /

cat > /etc/systemd/system/machine.target <<'UNIT'
[Unit]
Description=Nothing but what is asked for
DefaultDependencies=no
UNIT
# credentials are mounted by a child of systemd, and have to be seen by others
mount --make-rshared /
exec env -i container=linksocks-test PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
  "$SYSTEMD" --system --unit=machine.target --log-target=console --show-status=no

#!/bin/bash
# Holds the systemd units against systemd's own checks, without a running systemd.
set -eu
cd "$(dirname "$0")"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# verify wants the program to be there.
program=$root/raftd
printf '#!/bin/sh\n' >"$program"
chmod 755 "$program"
for unit in raftd.service raftd@.service; do
  sed "s,/usr/bin/raftd,$program," "$unit" >"$root/$unit"
done
cp "$root/raftd@.service" "$root/raftd@one.service"
systemd-analyze verify --man=no --recursive-errors=no "$root/raftd.service" "$root/raftd@one.service"
for unit in raftd.service raftd@one.service; do
  systemd-analyze security --offline=true --threshold=15 "$root/$unit" >"$root/report" ||
    { cat "$root/report"; exit 1; }
done

#!/bin/bash
# Three nodes on this machine in the foreground: run.sh [BUILD]. Ctrl-C stops all of them cleanly;
# their data stays in BUILD/run, and the next run goes on with it.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${1:-build}
raftd=$build/raftd
endpoints=http://127.0.0.1:2379,http://127.0.0.1:22379,http://127.0.0.1:32379
seconds_to_leader=120
pids=()

# Each node has a session of its own, so that Ctrl-C reaches this script only: a second signal would
# end a node at once.
stop() {
  trap '' INT TERM HUP
  local status=0
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  return $status
}

fail() {
  echo "raftd: $1" >&2
  stop
  exit 1
}

in_use() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

for port in 2379 22379 32379 2380 22380 32380; do
  if in_use $port; then
    echo "raftd: port $port on 127.0.0.1 is in use (another make run?)" >&2
    exit 69
  fi
done

mkdir -p "$build/run" || exit 73
trap 'stop; exit $?' INT TERM HUP
for n in 1 2 3; do
  setsid "$raftd" --config "conf/local/node$n.toml" --set "data_dir=$build/run/node$n" \
    >/dev/null 2>>"$build/run/node$n.log" </dev/null &
  pids+=($!)
done

# The lines of a cluster with one leader that everybody follows; fails while there is none.
leader_lines() {
  env -u RAFTD_TOKEN "$raftd" status --endpoints "$endpoints" --timeout 2s 2>/dev/null | awk '
    NR > 1 { printf "node %s  %-22s  %s\n", $2, $1, $4; leaders += $4 == "leader"; ready += $6 != "-" }
    END { exit !(leaders == 1 && ready == 3) }'
}

# Before there is a leader a node that ends is a failure: a wrong configuration, a port, the disk.
all_run() {
  local n=1
  for pid in "${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || fail "node $n ended: $(tail -n 1 "$build/run/node$n.log")"
    n=$((n + 1))
  done
}

SECONDS=0
until lines=$(leader_lines); do
  all_run
  [ $SECONDS -lt $seconds_to_leader ] || fail "no leader after $seconds_to_leader s; see $build/run/*.log"
  sleep 0.1
done
echo "$lines"
echo "try: curl -X PUT -d hello http://127.0.0.1:2379/kv/a && curl http://127.0.0.1:32379/kv/a"

# Afterwards it may be killed for a try; the others go on.
declare -A node_of=([${pids[0]}]=1 [${pids[1]}]=2 [${pids[2]}]=3)
while [ ${#pids[@]} -gt 0 ]; do
  wait -n "${pids[@]}" 2>/dev/null
  left=()
  for pid in "${pids[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      left+=("$pid")
    else
      echo "raftd: node ${node_of[$pid]} ended; see $build/run/node${node_of[$pid]}.log" >&2
    fi
  done
  pids=("${left[@]}")
done
exit 1

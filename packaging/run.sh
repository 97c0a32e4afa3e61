#!/usr/bin/env bash
# A collector and an enrolled agent in monitor mode on this machine, until Ctrl-C. What they keep lies in target/run.
# With --settings it only writes the agent's settings and says what it would watch.
set -euo pipefail
cd "$(dirname "$0")/.."
here=${PICKET_RUN:-$PWD/target/run}
picket=$PWD/target/release/picket
collector=$PWD/target/release/picket-collector
mkdir -p "$here"

# The machine's log files; else its journal; else, where nothing is logged, a log of our own. The journal and files are
# never watched together. An empty journal is one that nobody writes.
own=$here/auth.log
files=()
journal=no
for log in "${PICKET_RUN_LOGS:-/var/log}"/{auth.log,secure}; do
  [ -r "$log" ] && files+=("$log")
done
if [ ${#files[@]} -gt 0 ]; then
  watched="${files[*]}, and $own"
elif [ -n "$(journalctl --system --quiet --lines=1 2>/dev/null || true)" ]; then
  journal=yes
  watched="the journal"
else
  watched="$own alone, as there is no log here that $(id -un) may read,"
fi
if [ $journal = no ]; then
  touch "$own"
  files+=("$own")
fi
list=$(printf ', "%s"' "${files[@]}")
[ $journal = no ] || list=
(umask 022 && cat >"$here/picket.toml" <<TOML
[agent]
state = "$here/state"
socket = "$here/control.sock"
[auth]
files = [${list#, }]
journal = "$journal"
[detect]
rules = ["$PWD/packaging/rules"]
[spool]
directory = "$here/spool"
TOML
)

# What is tried is written to where it is watched.
if [ $journal = yes ]; then
  how=' as root (journald shows an entry up to half a second late)'
  attempt='logger -p auth.info -t sshd "Failed password for root from 198.51.100.9 port 40$i ssh2"'
else
  how=
  attempt="echo \"\$(date -Iseconds) host sshd[\$\$]: Failed password for root from 198.51.100.9 port 40\$i ssh2\" >> '$own'"
fi
text="Picket watches $watched in monitor mode; findings appear here as they are made. Try one$how:

  for i in 1 2 3 4 5 6 7 8 9 10; do
    $attempt
  done"
if [ "${1:-}" = --settings ]; then
  echo "$text"
  exit
fi

pids=()
# Ends only what was started here, the agent before the collector, so that it can still deliver.
finish() {
  trap - EXIT INT TERM
  rm -f "$here/token"
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
trap finish EXIT
trap 'finish; exit 0' INT TERM

# In sessions of their own: Ctrl-C reaches this script alone, which ends both in order.
coproc COLLECTOR { exec setsid "$collector" serve --data "$here/collector" --listen 127.0.0.1:0; }
pids=("$COLLECTOR_PID")
read -r line <&"${COLLECTOR[0]}"
address=${line##* }

(umask 077 && "$collector" token create --data "$here/collector" >"$here/token")
"$picket" enroll --again --collector "https://$address" --token-file "$here/token" --config "$here/picket.toml"
rm "$here/token"

setsid "$picket" run --config "$here/picket.toml" &
pids=("$!" "${pids[@]}")

cat <<TEXT

$text

What the collector received:  $collector findings --data $here/collector --follow
The agents it knows:          $collector agents --data $here/collector
Ctrl-C ends both.

TEXT
wait "${pids[0]}" || { echo "the agent ended" >&2; exit 1; }

#!/usr/bin/env bash
# A collector and an enrolled agent in monitor mode on this machine, until Ctrl-C. What they keep lies in target/run.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/target/run
picket=$PWD/target/release/picket
collector=$PWD/target/release/picket-collector
mkdir -p "$here"

# Its own log is for a machine that has no logger, and for trying things out.
own=$here/auth.log
touch "$own"
logs=()
for log in /var/log/auth.log /var/log/secure; do
  [ -r "$log" ] && logs+=("$log")
done
journal=no
if [ ${#logs[@]} = 0 ] && journalctl --quiet --lines=0 >/dev/null 2>&1; then journal=yes; fi
list=$(printf ', "%s"' "${logs[@]+"${logs[@]}"}" "$own")
list=${list#, }
list=${list#\"\", }
(umask 022 && cat >"$here/picket.toml" <<TOML
[agent]
state = "$here/state"
socket = "$here/control.sock"
[auth]
files = [$list]
journal = "$journal"
[detect]
rules = ["$PWD/packaging/rules"]
[spool]
directory = "$here/spool"
TOML
)

pids=()
# Ends only what was started here, the agent before the collector, so that it can still deliver.
finish() {
  trap - EXIT INT TERM
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

Picket watches${logs[*]:+ ${logs[*]}}$([ $journal = yes ] && echo ' the journal') in monitor mode; findings appear here as they are made. Try one:

  for i in 1 2 3 4 5 6 7 8 9 10; do
    echo "\$(date -Iseconds) host sshd[\$\$]: Failed password for root from 198.51.100.9 port 40\$i ssh2" >> $own
  done

What the collector received:  $collector findings --data $here/collector --follow
The agents it knows:          $collector agents --data $here/collector
Ctrl-C ends both.

TEXT
wait "${pids[0]}" || { echo "the agent ended" >&2; exit 1; }

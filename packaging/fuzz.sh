#!/usr/bin/env bash
# fuzz.sh: fuzzes each target of tests/src/fuzz for FUZZ_SECONDS (10), or those that FUZZ names. What is found lies in target/fuzz/found
# and makes this fail; what covers new ground is kept in target/fuzz/corpus for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-10}
host=$(rustc -vV | sed -n 's/^host: //p')
# What `cargo fuzz` passes, less the sanitizers: those need a nightly compiler, and find what code without `unsafe` cannot do.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags+=' -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares'
# With a target, build scripts are not measured.
RUSTFLAGS=$flags cargo build --quiet --locked -p picket-tests --features fuzz --bin fuzz --profile fuzz --target "$host" \
  --target-dir target/fuzz
fuzz=target/fuzz/$host/fuzz/fuzz
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" picket-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
failed=
for target in ${FUZZ:-$("$fuzz" 2>/dev/null)}; do
  corpus=target/fuzz/corpus/$target found=target/fuzz/found/$target
  mkdir -p "$corpus" "$found"
  # Seconds for one input of at most 128 KiB are a parser that looks at everything again and again.
  if FUZZ_TARGET=$target TMPDIR=$scratch "$fuzz" -max_total_time="$seconds" -max_len=131072 -timeout="${FUZZ_TIMEOUT:-5}" \
    -rss_limit_mb=2048 -artifact_prefix="$found/" -print_final_stats=1 "$corpus" "tests/fuzz/$target" >"$scratch/log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$scratch/log")
    covered=$(grep -o 'cov: [0-9]*' "$scratch/log" | tail -1)
    echo "$target: $runs inputs in $seconds s, ${covered/cov:/places reached:}"
  else
    tail -40 "$scratch/log" | cut -c 1-300
    # What ended without a word was read last.
    grep -q 'Test unit written' "$scratch/log" || cp "$scratch/last" "$found/last-$(date +%s)"
    echo "$target: FAILED; the input lies in $found"
    failed=1
  fi
done
[ -z "$failed" ]

#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks; says nothing when nothing is missing.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need cc gcc
need cmake cmake
need make make
need ip iproute2
need nft nftables
if [ ${#missing[@]} -gt 0 ]; then
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  echo "installing: ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
for tool in cargo-nextest cargo-deny cargo-machete; do
  command -v "$tool" >/dev/null || { echo "installing: $tool"; cargo install --locked --quiet "$tool"; }
done

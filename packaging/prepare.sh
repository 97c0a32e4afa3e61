#!/usr/bin/env bash
# prepare.sh build|demo|test|fuzz: installs what is needed for that and this machine lacks; says nothing when nothing is missing.
set -euo pipefail
case ${1:?} in build | demo | test | fuzz) for=$1 ;; *) sed -n 2p "$0" >&2 && exit 2 ;; esac

missing=()
need() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need cc gcc
need make make
if [ "$for" = fuzz ]; then
  # libFuzzer is built from its source.
  need c++ g++
elif [ "$for" != build ]; then
  # The laboratory: a real sshd and rsyslogd in network namespaces, and a client that can be told a password.
  need ip iproute2
  need unshare util-linux
  need sshd openssh-server
  need ssh openssh-client
  need sshpass sshpass
  need rsyslogd rsyslog
  need openssl openssl
  need curl curl
  need nft nftables
fi
if [ "$for" = test ]; then
  # Hosts that are really booted, clocks that can be set, disks that can be broken.
  need debootstrap debootstrap
  need systemd-nspawn systemd-container
  need faketime faketime
  need mkfs.ext4 e2fsprogs
  need ipset ipset
  # The peer that files are judged alike with.
  need yara yara
  need iptables-legacy iptables
  # For the comparison of the kernel's part with the object that is kept of it.
  need clang clang
fi
if [ ${#missing[@]} -gt 0 ]; then
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  echo "installing: ${missing[*]}"
  $sudo apt-get update -qq
  # Servers that a package starts by itself are none of ours: the tests run their own.
  $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
[ "$for" = test ] || exit 0
for tool in cargo-nextest cargo-deny cargo-machete; do
  command -v "$tool" >/dev/null || {
    echo "installing: $tool"
    cargo install --locked --quiet "$tool"
  }
done

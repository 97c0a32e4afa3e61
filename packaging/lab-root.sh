#!/usr/bin/env bash
# Makes the Debian root from which the laboratory's hosts boot, once, and prints its path; needs root. The mirror is the one
# that this machine's apt uses. It is made beside its place and moved there, so that nobody ever boots half of one.
set -euo pipefail

cache=${PICKET_LAB:-/var/cache/picket-lab}
packages=dbus,iproute2,nftables,openssh-server,procps,rsyslog,systemd,systemd-sysv
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# Of other packages it is another root.
root=$cache/$suite-$(echo "$packages" | sha256sum | cut -c1-8)

mirror() { apt-get indextargets --format '$(SITE)' "Codename: $suite" 'Created-By: Packages' | head -n1; }

[ -d "$root" ] || {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
}
[ -d "$root" ] || {
  echo "making the root of the laboratory's hosts, once; this takes a minute or two" >&2
  [ -n "$(mirror)" ] || apt-get update -qq
  # What an earlier run left when it was killed.
  rm -rf "$cache"/making.*
  fresh=$(mktemp -d "$cache/making.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  chmod 755 "$fresh"
  debootstrap --variant=minbase --include="$packages" "$suite" "$fresh" "$(mirror)" >"$cache/log" 2>&1 9>&- || {
    tail -n 5 "$cache/log" >&2
    exit 1
  }
  rm -rf "$fresh"/var/cache/apt/archives/*.deb "$fresh"/var/lib/apt/lists/*
  mv "$fresh" "$root"
}
echo "$root"

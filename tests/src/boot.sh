# Boots a host of the laboratory and stays until it is off: boot.sh NAME NAMESPACE ROOT FOLDER PICKET RULES
# It runs in a mount namespace of its own, so that what is mounted here goes with the last process in it.
set -eu
name=$1 namespace=$2 root=$3 here=$4 picket=$5 rules=$6

# What the host writes is gone with it. A tmpfs, as a folder of an overlay cannot be the upper layer of another.
mkdir "$here/layer" "$here/merged"
mount -t tmpfs tmpfs "$here/layer"
mkdir "$here/layer/upper" "$here/layer/work"
cp -a "$here/files/." "$here/layer/upper"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$here/layer/upper,workdir=$here/layer/work" "$here/merged"

# A place of its own in every tree of cgroups: two hosts in one would tidy each other up.
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
trees=
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  [ ! -e "$tree/cgroup.procs" ] || trees="$trees $tree/$name"
done
mkdir $trees
(
  for tree in $trees; do echo 0 >"$tree/cgroup.procs"; done
  # Not `ip netns exec`: it would mount a new /sys without the trees.
  exec nsenter --net="/run/netns/$namespace" \
    systemd-nspawn --quiet --boot --notify-ready=yes --register=no --keep-unit --machine="$name" --directory="$here/merged" \
    --capability=CAP_NET_ADMIN --resolv-conf=off --timezone=off --link-journal=no --console=passive \
    --bind="$here/shared" --bind-ro="$picket:/usr/bin/picket" --bind-ro="$rules:/usr/share/picket/rules"
) || true
# What has just been killed may not have left yet.
for _ in $(seq 100); do
  find $trees -depth -type d -exec rmdir {} + 2>/dev/null && break
  sleep 0.05
done

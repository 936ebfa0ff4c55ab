#!/bin/sh
# Start a container engine on a Debian machine that has none and no init system to start it: `make docker`. For CI and throw-away
# machines; where an engine answers already, this does nothing.
#   STATE=dir   where it keeps images, its log and its process id (default: .cache/docker)
#   MEMORY=10g  keep images in this much of the machine's memory instead: a rebuild takes half of the time
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
state=${STATE:-$root/.cache/docker}
PATH=$PATH:/usr/sbin:/sbin

fail() {
    printf '%s\n' "docker-engine: $*" >&2
    exit 1
}

if docker version >/dev/null 2>&1; then
    echo "An engine answers: $(docker info --format '{{.ServerVersion}}')"
    exit
fi
[ "$(id -u)" = 0 ] || fail "no engine answers, and only root can start one."
missing=
command -v dockerd >/dev/null || missing="$missing docker.io"
command -v iptables >/dev/null || missing="$missing iptables"
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "there is no dockerd, and no apt-get to install it with."
    apt-get update -q
    # shellcheck disable=SC2086  # Words, each a package.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi
mkdir -p "$state/data"
[ -z "${MEMORY:-}" ] || mountpoint -q "$state/data" || mount -t tmpfs -o "size=$MEMORY,mode=711" nachlass-docker "$state/data"
# A container's packets have to fit through the uplink, which may take less than Docker's 1500 bytes.
device=$(ip -o route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
mtu=$(cat "/sys/class/net/${device:-lo}/mtu")
[ "$mtu" -le 1500 ] || mtu=1500
setsid nohup dockerd --data-root "$state/data" --pidfile "$state/dockerd.pid" --mtu "$mtu" >"$state/dockerd.log" 2>&1 </dev/null &
tries=0
until docker version >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then
        tail -n 20 "$state/dockerd.log" >&2
        fail "the engine didn't come up; the end of its log stands above."
    fi
    sleep 0.2
done
echo "Started an engine, $(docker info --format '{{.ServerVersion}}'). To stop it: kill \$(cat $state/dockerd.pid)"

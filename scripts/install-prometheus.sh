#!/bin/sh
# Unpack Debian's prometheus and promtool: install-prometheus.sh [DEST], by default into .tools/prometheus.
# Unpacked, not installed: the package would start a server, and only root could install it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dest=${1:-${here%/*}/.tools/prometheus}

fail() {
    printf '%s\n' "install-prometheus: $*" >&2
    exit 1
}

if "$dest/usr/bin/promtool" --version >/dev/null 2>&1; then
    echo "prometheus is in $dest"
    exit
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "this needs Debian or Ubuntu; else put prometheus and promtool on PATH."
fi
new=$dest.new
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
cd "$new"
# Without lists of packages, only root can get them.
apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; } || fail "apt-get can't download prometheus."
dpkg-deb -x prometheus_*.deb .
rm prometheus_*.deb
./usr/bin/promtool --version >/dev/null || fail "promtool doesn't run here."
cd /
rm -rf "$dest"
mv "$new" "$dest"
echo "prometheus is in $dest"

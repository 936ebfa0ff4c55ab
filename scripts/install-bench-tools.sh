#!/bin/sh
# Build vegeta, which makes load at a fixed rate, from its Go module into .tools/bench (or $1).
# Does nothing when it is there already, built from the same pins. A small module of our own, as for the lifecycle
# (install-cnb-tools.sh): go.sum pins every dependency.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$here/bench-tools
dest=${1:-$here/../.tools/bench}

fail() {
    printf '%s\n' "install-bench-tools: $*" >&2
    exit 1
}

version=$(sed -n 's/^require .*vegeta\/v12 v//p' "$source/go.mod")
wanted="$version $(cat "$source/go.mod" "$source/go.sum" "$0" | cksum)"
if [ "$(cat "$dest/.built-from" 2>/dev/null)" = "$wanted" ]; then
    echo "vegeta $version is in $dest"
    exit 0
fi

command -v go >/dev/null 2>&1 || fail "there is no Go toolchain on PATH. Install Go 1.22 or newer (Debian: golang-go), then try again."

mkdir -p "$(dirname -- "$dest")"
new=$(mktemp -d "$(dirname -- "$dest")/bench.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM

export GOTOOLCHAIN=auto CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
echo "Building vegeta $version (a minute the first time)"
cd "$source"
go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$new/vegeta" github.com/tsenart/vegeta/v12
printf '%s\n' "$wanted" >"$new/.built-from"
rm -rf "$dest"
mv "$new" "$dest"
echo "vegeta $version is in $dest"

#!/bin/sh
# Build the Cloud Native Buildpacks lifecycle and its launcher from their Go modules, into .tools/lifecycle (or $1).
# Does nothing when they are there already, built from the same pins.
#
# A small module of our own (scripts/cnb-tools) instead of `go install module@version`: go.sum pins every dependency, and
# no proxy has to serve a list of versions.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$here/cnb-tools
dest=${1:-$here/../.tools/lifecycle}

fail() {
    printf '%s\n' "install-cnb-tools: $*" >&2
    exit 1
}

version=$(sed -n 's/^require .*buildpacks\/lifecycle v//p' "$source/go.mod")
wanted="$version $(cat "$source/go.mod" "$source/go.sum" "$0" | cksum)"
if [ "$(cat "$dest/.built-from" 2>/dev/null)" = "$wanted" ]; then
    echo "lifecycle $version is in $dest"
    exit 0
fi

command -v go >/dev/null 2>&1 || fail "there is no Go toolchain on PATH. Install Go 1.21 or newer (Debian: golang-go), then try again."
case $(go env GOVERSION) in
go1.[0-9] | go1.[0-9].* | go1.1[0-9] | go1.1[0-9].* | go1.20 | go1.20.*)
    fail "$(go env GOVERSION) cannot fetch the newer toolchain that the lifecycle needs. Install Go 1.21 or newer." ;;
esac

mkdir -p "$(dirname -- "$dest")"
new=$(mktemp -d "$(dirname -- "$dest")/lifecycle.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM

# Some distributions switch Go's own toolchain download off. Without a C compiler's help the binaries run on any image.
export GOTOOLCHAIN=auto CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
echo "Building lifecycle $version (a few minutes the first time)"
cd "$source"
package=github.com/buildpacks/lifecycle/cmd
go build -trimpath -buildvcs=false -ldflags "-s -w -X $package.Version=$version" -o "$new/" "$package/lifecycle" "$package/launcher"

# One binary under many names: it looks at argv[0].
for phase in analyzer detector restorer builder exporter creator rebaser; do
    ln -s lifecycle "$new/$phase"
done
printf '%s\n' "$wanted" >"$new/.built-from"
chmod 755 "$new" # mktemp makes it private; the lifecycle runs as other users
rm -rf "$dest"
mv "$new" "$dest"
echo "lifecycle $("$dest/lifecycle" -version) is in $dest"

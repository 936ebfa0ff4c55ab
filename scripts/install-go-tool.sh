#!/bin/sh
# Build a tool from its Go module: install-go-tool.sh lifecycle|pack|vegeta [DEST], by default into .tools/NAME.
# Does nothing when it is there already, built from the same pins.
#
# Small modules of our own (scripts/go/NAME) instead of `go install module@version`: go.sum pins every dependency, and
# no proxy has to serve a list of versions.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
name=${1:-}
source=$here/go/$name
dest=${2:-$here/../.tools/$name}

fail() {
    printf '%s\n' "install-go-tool: $*" >&2
    exit 1
}

build_lifecycle() { # The Cloud Native Buildpacks lifecycle and its launcher.
    package=github.com/buildpacks/lifecycle/cmd
    go build -trimpath -buildvcs=false -ldflags "-s -w -X $package.Version=$version" -o "$new/" "$package/lifecycle" "$package/launcher"
    # One binary under many names: it looks at argv[0].
    set --
    for phase in analyzer detector restorer builder exporter creator rebaser; do
        ln -s lifecycle "$new/$phase"
        set -- "$@" "./$phase"
    done
    # What builders are made with: the layout of the project's releases, and what this version supports (its api/apis.go).
    cat >"$new/lifecycle.toml" <<EOF_TOML
[lifecycle]
version = "$version"

[apis.buildpack]
deprecated = []
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"]

[apis.platform]
deprecated = []
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"]

[api]
buildpack = "0.7"
platform = "0.7"
EOF_TOML
    (cd "$new" && tar --owner=0 --group=0 --numeric-owner --mtime=@315532801 --transform 's#^\./#lifecycle/#' \
        -cf - lifecycle.toml ./lifecycle ./launcher "$@" | gzip -n >"$dest.tgz")
}

build_pack() { # What people build images with on their own machines.
    package=github.com/buildpacks/pack
    go build -trimpath -buildvcs=false -ldflags "-s -w -X $package/pkg/client.Version=$version" -o "$new/pack" "$package"
}

build_vegeta() { # Makes load at a fixed rate, for `make bench-serve`.
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$new/vegeta" github.com/tsenart/vegeta/v12
}

case $name in
lifecycle | pack | vegeta) ;;
*) fail "name the tool to build: lifecycle, pack or vegeta." ;;
esac

version=$(sed -n '/\/\/ indirect$/d;s/^require .* v//p' "$source/go.mod")
wanted="$version $(cat "$source/go.mod" "$source/go.sum" "$0" | cksum)"
if [ "$(cat "$dest/.built-from" 2>/dev/null)" = "$wanted" ]; then
    echo "$name $version is in $dest"
    exit 0
fi

command -v go >/dev/null 2>&1 || fail "there is no Go toolchain on PATH. Install Go 1.21 or newer (Debian: golang-go), then try again."
case $(go env GOVERSION) in
go1.[0-9] | go1.[0-9].* | go1.1[0-9] | go1.1[0-9].* | go1.20 | go1.20.*)
    fail "$(go env GOVERSION) cannot fetch the newer toolchain that $name needs. Install Go 1.21 or newer." ;;
esac

mkdir -p "$(dirname -- "$dest")"
dest=$(CDPATH='' cd -- "$(dirname -- "$dest")" && pwd)/$(basename -- "$dest")
new=$(mktemp -d "$dest.XXXXXX")
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM

# Some distributions switch Go's own toolchain download off. Without a C compiler's help the programs run on any image.
export GOTOOLCHAIN=auto CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
echo "Building $name $version (a few minutes the first time)"
cd "$source"
"build_$name"
printf '%s\n' "$wanted" >"$new/.built-from"
chmod 755 "$new" # mktemp makes it private; the lifecycle runs as other users
rm -rf "$dest"
mv "$new" "$dest"
echo "$name $version is in $dest"

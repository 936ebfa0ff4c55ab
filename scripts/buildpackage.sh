#!/bin/sh
# Package the buildpack: buildpackage.sh makes dist/nachlass.cnb, buildpackage.sh REGISTRY pushes REGISTRY/nachlass:VERSION.
#   WHEELS=1   with the wheels of our locks, one package for each architecture: dist/nachlass-linux-amd64.cnb, …-arm64.cnb
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
registry=${1:-}
python=${VENV:-.venv}/bin/python
pack=.tools/pack/pack
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml | head -n 1)

package() { # NAME [OPTION...]: make one, from dist/NAME; its buildpack.toml says for what it is
    name=$1
    shift
    "$python" scripts/buildpackage.py "dist/$name" "$@"
    if [ -n "$registry" ]; then
        "$pack" buildpack package "$registry/$name:$version" --path "dist/$name" --publish
    else
        "$pack" buildpack package "dist/$name.cnb" --path "dist/$name" --format file --quiet
        echo "dist/$name.cnb: nachlass $version, $(($(wc -c <"dist/$name.cnb") / 1000)) kB"
    fi
}

if [ -n "${WHEELS:-}" ]; then
    for architecture in amd64 arm64; do
        package "nachlass-linux-$architecture" --wheels "$architecture"
    done
else
    package nachlass
fi

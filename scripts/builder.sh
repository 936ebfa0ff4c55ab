#!/bin/sh
# Make a builder image from its builder.toml: builder.sh debian|heroku|paketo, as `make builder BUILDER=…` does.
# The result is a local image, nachlass/builder-NAME. Heroku's and Paketo's parts are pulled; for Debian nothing is.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
name=${1:-}
case $name in
debian)
    file=$root/builders/debian/builder.toml pull=never
    for image in build run; do
        docker image inspect "nachlass/$image-debian" >/dev/null 2>&1 || "$root/scripts/base-images.sh"
    done
    ;;
heroku) file=$root/builders/heroku/builder.toml pull=if-not-present ;;
paketo) file=$root/builder.toml pull=if-not-present ;;
*)
    printf '%s\n' "builder: name the builder: debian, heroku or paketo." >&2
    exit 1
    ;;
esac
architecture=$(docker version --format '{{.Server.Arch}}')
"$root/.tools/pack/pack" builder create "nachlass/builder-$name" --config "$file" --pull-policy "$pull" --target "linux/$architecture"

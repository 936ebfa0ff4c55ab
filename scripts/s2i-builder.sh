#!/bin/sh
# Make the builder image of source-to-image, nachlass-s2i: `make s2i-builder`, on top of the Debian builder's run image.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
python=${VENV:-.venv}/bin/python
docker image inspect nachlass/run-debian >/dev/null 2>&1 || scripts/base-images.sh

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
trap 'exit 130' INT TERM
cp -R builders/s2i/bin builders/s2i/Dockerfile "$context"
chmod 755 "$context" "$context/bin" "$context"/bin/*
# The build backend is the environment's own, and the packages of the command are in every version that it supports.
"$python" -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir "$context/wheels" .
"$python" -m pip --disable-pip-version-check download --quiet --only-binary :all: --no-deps --require-hashes \
    --dest "$context/wheels" --requirement locks/cli.txt
said=$(DOCKER_BUILDKIT=0 docker build --tag nachlass-s2i "$context" 2>&1) || {
    printf '%s\n' "s2i-builder: docker build failed:" "$said" >&2
    exit 1
}
docker images --format '{{.Repository}} {{.Size}}' nachlass-s2i

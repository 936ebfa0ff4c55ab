#!/bin/sh
# Make the build and the run image of the Debian builder, nachlass/build-debian and nachlass/run-debian: `make base-images`.
#   BASE=image       begin with this Debian 12 (debian:bookworm-slim, for instance) and not with one made of Debian's packages
#   PACKAGES="a b"   Debian packages to have in both images
# Without BASE it needs root on Debian or Ubuntu, for debootstrap; with it, an engine alone.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
base=${BASE:-}

fail() {
    printf '%s\n' "base-images: $*" >&2
    exit 1
}

docker version >/dev/null 2>&1 || fail "no container engine answers. Start one, or have one started: make docker"

bootstrap() { # Import a minimal Debian as the image $1.
    [ "$(id -u)" = 0 ] || fail "only root can put a Debian together; or name one that can be pulled: make base-images BASE=debian:bookworm-slim"
    if ! command -v debootstrap >/dev/null; then
        command -v apt-get >/dev/null || fail "this takes debootstrap; or name an image: make base-images BASE=debian:bookworm-slim"
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap
    fi
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
    debootstrap --variant=minbase --include=ca-certificates bookworm "$scratch/debian" >"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        fail "debootstrap failed; the end of its log stands above."
    }
    rm -f "$scratch/debian/etc/resolv.conf" "$scratch/debian/etc/hostname"
    rm -rf "$scratch"/debian/var/cache/apt/archives/*.deb "$scratch"/debian/var/lib/apt/lists/*
    tar -C "$scratch/debian" --numeric-owner --one-file-system -cf - . |
        docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" >/dev/null
}

if [ -z "$base" ]; then
    base=nachlass/debian:12
    docker image inspect "$base" >/dev/null 2>&1 || bootstrap "$base"
fi
for image in build run; do
    # Without BuildKit, which not every engine brings along; docker says each time that it would rather have it.
    said=$(DOCKER_BUILDKIT=0 docker build --target "$image" --build-arg "BASE=$base" --build-arg "PACKAGES=${PACKAGES:-}" \
        --tag "nachlass/$image-debian" - <"$root/builders/debian/Dockerfile" 2>&1) || fail "docker build failed:
$said"
done
docker images --format '{{.Repository}} {{.Size}}' --filter reference='nachlass/*-debian'

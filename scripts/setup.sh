#!/bin/sh
# Make the virtual environment that everything else runs in: the project, editable, and its locked test tools.
# Quick when nothing changed: a stamp in the environment says from which files it was made.
#   PYTHON=/path/to/python3   the interpreter to use (default: python3, else the newest python3.N)
#   VENV=dir                  where it goes (default: .venv)
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
venv=${VENV:-.venv}
lock=locks/dev.txt
stamp=$venv/.made-from

fail() {
    printf '\n[Error: %s]\n%s\n' "$1" "$2" >&2
    exit 1
}

works() { # Is $1 a Python that nachlass supports?
    "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() {
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
        if works "$python"; then
            # The interpreter itself, not a shim or a link that may mean another one tomorrow.
            "$python" -I -c 'import os, sys; print(os.path.realpath(sys.executable))'
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON does not work" "It has to be the path or name of a Python 3.10 or newer."
    fi
    fail "No Python 3.10 or newer was found" "Install one (Debian, Ubuntu: sudo apt-get install python3 python3-venv),
or say where it is: make PYTHON=/path/to/python3 setup"
}

python=$(find_python)
made_from=$({
    echo "$python"
    cat "$lock" pyproject.toml "$0"
} | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ]; then
    exit 0
fi

if ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot make virtual environments" "Its modules 'venv' and 'ensurepip' are missing.
Debian and Ubuntu keep them in a package of their own: sudo apt-get install python$version-venv"
fi

echo "Setting up $venv with $("$python" --version) ($python)"
rm -f "$stamp"
if [ "$("$venv/bin/python" -I -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null)" != "$python" ]; then
    "$python" -m venv --clear "$venv"
fi
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check "$@"
}
pip install --quiet --require-hashes -r "$lock"
# The build backend is in the lock: nothing unpinned is fetched for it.
pip install --quiet --no-deps --no-build-isolation --editable .
printf '%s\n' "$made_from" >"$stamp"

#!/bin/sh
# Installs curate and its locked packages into a virtual environment: sh install.sh VENV
# From the folder `wheelhouse` where there is one, without network; else from the configured package index.
set -eu
venv=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
[ -f "$here/core.txt" ] && root=$here  # inside a wheelhouse
pip="$venv/bin/python -m pip --disable-pip-version-check --no-cache-dir"

if [ -f "$root/core.txt" ]; then
    $pip install --no-index --find-links "$root" --require-hashes -r "$root/core.txt"
    $pip install --no-index --no-deps "$root"/curate-*.whl
elif [ -d "$root/wheelhouse" ]; then
    sh "$root/wheelhouse/install.sh" "$venv"
else
    $pip install --require-hashes -r "$root/requirements/core.txt"
    $pip install --no-deps --no-build-isolation "$root"
fi

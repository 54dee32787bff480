#!/usr/bin/env bash
# Regenerate what is derived from protos/. Path of a proto = import path of its module.
#
#   genproto.sh [rpc|kube|all] [--check]
#
# rpc:  protos/pybernetes/rpc -> pybernetes/rpc (modules, stubs and their types)
# kube: protos/kube -> pybernetes/schema/protos/kube.fds and pybernetes/api (tools/genkube.py)
# --check changes nothing: it lists stale paths and exits 1 if there are any.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
PATH="$(dirname "$PYTHON"):$PATH"
tree=all
check=
for argument in "$@"; do
    case "$argument" in
        rpc | kube | all) tree=$argument ;;
        --check) check=--check ;;
        *) echo "usage: $0 [rpc|kube|all] [--check]" >&2; exit 2 ;;
    esac
done

generate_rpc() {
    find protos/pybernetes/rpc -name '*.proto' -print0 | xargs -0 "$PYTHON" -m grpc_tools.protoc \
        -I protos --python_out="$1" --grpc_python_out="$1" \
        --mypy_out="quiet:$1" --mypy_grpc_out="quiet:$1"
}

check_rpc() {
    local stale=0 file
    scratch=$(mktemp -d)  # not local: the trap runs outside this function
    trap 'rm -rf "$scratch"' EXIT
    generate_rpc "$scratch"
    while read -r file; do
        if ! cmp -s "$scratch/$file" "$file"; then
            echo "stale: $file"
            stale=1
        fi
    done < <({ cd "$scratch" && find pybernetes/rpc -type f; cd "$OLDPWD"
               find pybernetes/rpc -name '*_pb2*.py*' -not -path '*/__pycache__/*'; } | sort -u)
    return "$stale"
}

status=0
if [[ $tree != kube ]]; then
    if [[ -n $check ]]; then check_rpc || status=1; else generate_rpc .; fi
fi
if [[ $tree != rpc ]]; then
    "$PYTHON" tools/genkube.py $check || status=1
fi
exit "$status"

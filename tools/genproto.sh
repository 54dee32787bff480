#!/usr/bin/env bash
# Regenerate pybernetes/rpc from protos/pybernetes/rpc. Path of a proto = import path of its module.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
PATH="$(dirname "$PYTHON"):$PATH"
find protos/pybernetes/rpc -name '*.proto' -print0 | xargs -0 "$PYTHON" -m grpc_tools.protoc \
    -I protos --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:.

# Every command anybody needs. `make` alone prints them.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PYBERNETES_DATA_DIR ?= $(CURDIR)/.pybernetes
STORES ?= 1
NODES ?= 2
RUNTIME ?= auto
SEEDS ?= 1-10
STORE ?= ours

.PHONY: help setup proto fmt check test unit integration robustness simulation imports up down status demo bench bench-store clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(BIN)/.installed  ## environment with every dependency

$(BIN)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

proto: setup  ## regenerate pybernetes/rpc, pybernetes/api and the descriptors from protos/
	bash tools/genproto.sh
	$(BIN)/python tools/genkube.py

fmt: setup  ## format and fix
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .

check: setup  ## all a change must pass: format, lint, types, imports, generated code, unit tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	bash tools/genproto.sh --check
	$(BIN)/python tools/genkube.py --check
	$(BIN)/pytest -q tests/tidy tests/unit tests/property

test: setup  ## every test: unit, property, and real processes with kubectl
	$(BIN)/pytest -q

unit: setup  ## unit and property tests only
	$(BIN)/pytest -q tests/unit tests/property

integration: setup  ## real processes only
	$(BIN)/pytest -q tests/integration

robustness: setup  ## break the store under load (SEEDS=1-10 STORE=ours|etcd), as root for all faults
	$(BIN)/python -m pybernetes.testing.robustness --store $(STORE) --seeds $(SEEDS)

simulation: setup  ## clusters of the store in virtual time, one for each seed (SEEDS=1-10)
	$(BIN)/python -m pybernetes.testing.simulated_store $(SEEDS)

imports: setup  ## the layering contracts
	$(BIN)/lint-imports

up: setup  ## a local cluster (STORES=1 NODES=2 RUNTIME=auto) and its kubeconfig
	$(BIN)/pybernetes up --stores $(STORES) --nodes $(NODES) --runtime $(RUNTIME)

down: setup  ## stop it; the objects are kept
	$(BIN)/pybernetes down

status: setup  ## what runs
	$(BIN)/pybernetes status

demo: up  ## a cluster, and the guestbook on it
	$(BIN)/python examples/demo.py $(PYBERNETES_DATA_DIR)/kubeconfig

bench: setup  ## figures of this machine: start, memory, pods, store
	$(BIN)/python tests/benchmarks/bench_cluster.py
	$(BIN)/python tests/benchmarks/bench_store.py
	$(BIN)/python tests/benchmarks/bench_http.py

bench-store: setup  ## the store beside etcd
	$(BIN)/python tests/benchmarks/bench_store.py

clean: setup  ## stop the cluster and remove its data
	$(BIN)/pybernetes down --purge

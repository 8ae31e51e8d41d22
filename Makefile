# One command a need. Debian 12 or Ubuntu with python3 (3.11+) and make is enough; the rest is installed.
SHELL := /bin/bash
BIN := .venv/bin
export PYTHONHASHSEED := 0

# What stays together is said in tests/conftest.py. ARGS=-n0 runs one after the other, with all that they print.
WORKERS := -n auto --dist loadscope

.PHONY: help run test check bench against soak endurance deb lock clean

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1|/' | column -t -s '|' 2>/dev/null \
	  || grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST)

run: ## the daemon in the foreground, with its defaults (ARGS="--config FILE" and the like are passed on)
	@ops/environment.sh run
	@exec $(BIN)/python -P -m weltklassebot serve $(ARGS)

test: ## all tests, with whatever they need (ARGS="-k name" and the like are passed on)
	@ops/environment.sh dev
	@ops/environment.sh debian
	@exec $(BIN)/python -m pytest $(WORKERS) $(ARGS)

check: ## style, types, imports and the fast tests
	@ops/environment.sh dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -m "not slow" $(WORKERS) $(ARGS)

bench: ## measure (ARGS=SECONDS for each load)
	@ops/environment.sh dev
	@ops/environment.sh bench
	@exec $(BIN)/python -m tests.bench $(ARGS)

COMMIT ?= HEAD~1

against: ## what an order costs against an older commit of ours, COMMIT=HEAD~1, in interleaved pairs
	@ops/environment.sh dev
	@exec $(BIN)/python -m tests.bench.commits $(COMMIT)

MINUTES ?= 30

soak: ## the long proofs, then load, kills, power cuts, broken disks at random for MINUTES=30 (ARGS="--seed N": the same again)
	@ops/environment.sh dev
	@ops/environment.sh debian
	@CYCLES=200 LIVES=3 FLIPS=200 $(BIN)/python -m pytest -q tests/durability tests/daemon/test_kill_nine.py
	@exec $(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

DECISIONS ?= 10000000

endurance: ## memory and files over DECISIONS=10000000 with every memory at its bound
	@ops/environment.sh dev
	@exec $(BIN)/python -m tests.soak.endurance --decisions $(DECISIONS)

deb: ## a Debian package in dist/, which does what systemd/install.sh does
	@ops/deb/build.sh

# No host, path or index goes into the locks: the machine's own pip configuration says where packages come from.
# Made with the oldest Python that is supported: what resolves there resolves on the newer ones.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --all-build-deps \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: ## pin again (ARGS="--upgrade", or "--upgrade-package NAME")
	@ops/environment.sh dev
	$(COMPILE) $(ARGS) -o requirements.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra bench --extra var -c requirements-dev.lock -o requirements-bench.lock pyproject.toml

clean: ## remove what was made
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make help` lists what there is. Every target sets up what it needs by itself (scripts/bootstrap.py), once.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-py test-notebooks test-js test-browser test-letta faults bench lint drift js notebooks screenshots clean

# our tools first, and Node.js from .venv where the machine has none
export PATH := $(CURDIR)/.venv/bin:$(PATH)
BOOTSTRAP := python3 scripts/bootstrap.py
say = @printf '\n==> %s\n' $(1)
ARGS ?=
# for two cores: a third of the Python tests' time is waiting; a browser test keeps both busy alone. Files stay together,
# as pytest-xdist 3.8 does not see groups under pytest 9.2
WORKERS ?= 3
BROWSERS ?= 0

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## everything for development: Python, Node.js and Chromium
	@$(BOOTSTRAP) lint node chromium

demo: ## JupyterLab on the first notebook; needs no key, server or Node.js (ARGS="--help" for options)
	@$(BOOTSTRAP) demo
	@letta-nb demo --dir . $(ARGS)

test: drift test-js test-py test-notebooks test-browser ## all that CI runs
	$(call say,"All tests passed")

test-py: ## the Python tests that need no browser (ARGS="-n0 -x": one at a time)
	@$(BOOTSTRAP) test
	$(call say,"Python tests")
	@pytest -q -n $(WORKERS) --dist worksteal --ignore=tests/browser $(ARGS)

test-notebooks: ## run every notebook in notebooks/
	@$(BOOTSTRAP) test
	$(call say,"Notebooks")
	@LETTA_NB_RUNS=1400 pytest -q -n 2 --dist loadfile --nbval-lax -W default --timeout=300 notebooks $(ARGS)

test-js: ## the TypeScript tests
	@$(BOOTSTRAP) node
	$(call say,"TypeScript tests")
	@cd js && npm test --silent

test-browser: ## a real JupyterLab and Notebook 7 in Chromium
	@$(BOOTSTRAP) test chromium
	$(call say,"Browser tests")
	@pytest -q -n $(BROWSERS) --dist loadfile tests/browser $(ARGS)

faults: ## every way a stream can break, and what becomes of the run: the matrix as a table (ARGS="--json")
	@$(BOOTSTRAP) test
	@python scripts/faults.py $(ARGS)

test-letta: ## the client against a real Letta 0.16.8, which it installs: 800 MB, about 8 min (ARGS="-k approve")
	@$(BOOTSTRAP) test
	@python3 scripts/real_letta.py test $(ARGS)

bench: ## the figures to reach, against letta-client (ARGS="--quick", "--json FILE")
	@$(BOOTSTRAP) test chromium
	@python scripts/bench.py $(ARGS)

lint: ## ruff, pyright, biome, tsc, and no drift
	@$(BOOTSTRAP) lint node
	$(call say,"Python: ruff, pyright")
	@ruff check .
	@ruff format --check .
	@pyright
	$(call say,"TypeScript: biome, tsc")
	@cd js && npm run --silent lint
	@$(MAKE) --no-print-directory drift

drift: ## generated files are what their sources say: types and bundle
	@$(BOOTSTRAP) test node
	$(call say,"Generated files")
	@python scripts/generate_types.py --check
	@python scripts/check_bundle.py

js: ## rebuild the bundle in letta_nb/static and the types it is written against
	@$(BOOTSTRAP) test node
	@python scripts/generate_types.py
	@cd js && npm run --silent build

notebooks: ## execute the notebooks and keep their outputs
	@$(BOOTSTRAP) test
	@python scripts/run_notebooks.py $(ARGS)

screenshots: ## the pictures of the README, from a real JupyterLab
	@$(BOOTSTRAP) test chromium
	@python scripts/screenshots.py $(ARGS)

clean: ## remove all that was built or installed here
	rm -rf .venv .letta .bench js/node_modules dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every chore of this repository. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo lint fmt test test-py test-bounds cover fuzz faults fuzz-gateway flood mutants \
    seeds fit forecast ablation bench guard clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install emex with its tools into it

$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "emex needs Python 3.11 or newer, and there is no '$(PYTHON)': make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "emex needs Python 3.11 or newer, found $$("$(PYTHON)" -V 2>&1): make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "installing into $(VENV), about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]' -c constraints.txt
	@touch $(STAMP)

demo: setup ## replay the first season of China's national market into out/cea-2021
	@$(BIN)/emex replay cea-2021 --out out/cea-2021

lint: setup ## style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup ## format, and fix what can be fixed
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

# The whole suite comes last, so that the closing line is its count.
test: setup lint test-py test-bounds ## everything that must hold: lint, both lanes, one bounds-checked run
	$(BIN)/pytest -n 2

test-py: setup ## the quick part with the compiler off: kernels as plain Python
	NUMBA_DISABLE_JIT=1 EMEX_LANE=python $(BIN)/pytest -n 2 -m 'not slow' tests/oracle tests/spec tests/unit

# Bounds checks change the compiled code but not its cache key, hence a cache of its own.
test-bounds: setup ## the spec tables with every array access checked
	@cache=$$(mktemp -d) && trap 'rm -rf "$$cache"' EXIT && \
	    NUMBA_BOUNDSCHECK=1 EMEX_CACHE="$$cache" $(BIN)/pytest tests/spec

cover: setup ## line and branch coverage, measured with the compiler off
	NUMBA_DISABLE_JIT=1 EMEX_LANE=python $(BIN)/coverage run -m pytest -m 'not slow'
	$(BIN)/coverage report

fuzz: setup ## long: millions of random commands, fast engine against reference
	$(BIN)/python -m tests.oracle.campaign

faults: setup ## long: kill -9, power cuts, damaged journals, repeated requests
	$(BIN)/python -m tests.faults.kills --kills 300 --seed 1
	$(BIN)/python -m tests.faults.power --cuts 10000 --seed 1
	$(BIN)/python -m tests.faults.damage --count 10000 --seed 1
	$(BIN)/python -m tests.faults.duplicates --requests 1000000 --seed 1

fuzz-gateway: setup ## long: hostile payloads, packets, sessions and sockets
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]' -c constraints.txt
	$(BIN)/python -m tests.fuzz.codec --runs 10000000 --seed 1
	$(BIN)/python -m tests.fuzz.session --runs 1000000 --seed 1
	$(BIN)/python -m tests.fuzz.sockets --connections 100000 --seed 1

flood: setup ## what one misbehaving client costs the others
	$(BIN)/python -m bench.flood

mutants: setup ## plant bugs in the core, one by one; the spec tables must notice each
	@$(BIN)/python -m tests.mutants

# SEASONS: names from `emex scenarios`; without them the seasons that each command takes by itself.
seeds: setup ## long: the realism table of all seasons over many seeds (SEASONS="name ...": of these)
	@$(BIN)/python -m sim.seeds $(or $(SEASONS),--markdown sim/REALISM.md)

# Seasons that fit parameters; those that take over another season's (parameters_from) come behind it.
FITTING = $(shell grep -l 'kind = "fitted"' sim/scenarios/*.toml)
FITTED = $(basename $(notdir $(shell grep -L '^parameters_from' $(FITTING)) $(shell grep -l '^parameters_from' $(FITTING))))

fit: setup ## long: search the fitted parameters of all seasons again (WRITE=--write: into their files)
	@$(BIN)/python -m sim.fit $(or $(SEASONS),$(FITTED)) $(WRITE)

forecast: setup ## long: seasons predicted from an earlier one, against naive guesses
	@lost=0; for round in national guangdong; do $(BIN)/python -m sim.forecast $$round || lost=1; done; exit $$lost

ablation: setup ## long: which checks fail when one behaviour is taken away
	@$(BIN)/python -m sim.ablation $(SEASONS)

guard: setup ## has the core lost an order of magnitude? (ratios of one run)
	$(BIN)/pytest bench --benchmark-only

# FLOWS: recorded flows (--flow FILE ...), AGAINST: a program that does the same work; see bench/core.py.
bench: setup ## long: measure everything, and write tables and pictures of bench/README.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' -c constraints.txt
	$(BIN)/emex bench all $(FLOWS:%=--flow %) $(AGAINST:%=--against %) --seconds 60 --out bench/results.json
	$(BIN)/emex bench page bench/results.json

clean: ## remove what can be made again, .venv included
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	rm -rf .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

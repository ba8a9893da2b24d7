# Needs make and Python 3.11 or newer. Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
# Further options of pytest, e.g. PYTEST_ARGS="-n 0 -x -k afm"
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
DEV_STAMP := $(VENV)/.stamp-dev
DOCS_STAMP := $(VENV)/.stamp-docs
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check

.PHONY: help example test test-all hostile lint format types package bench defaults \
	docs clean

help:
	@echo "make example   train the models on the flights data (examples/flights.py)"
	@echo "make test      run the test suite on two processes"
	@echo "make test-all  run the test suite, then the tests that take long"
	@echo "make hostile   attack it with mutated files, random inputs and forks"
	@echo "make lint      ruff: rules and formatting"
	@echo "make format    ruff: fix what it can, format"
	@echo "make types     mypy"
	@echo "make package   build the package, and fit with it in a fresh environment"
	@echo "make bench     run the benchmarks"
	@echo "make defaults  measure the default parameters of all architectures"
	@echo "make docs      build the documentation into docs/_build/html"
	@echo "make clean     remove caches and built files (delete $(VENV) by hand)"

example: $(DEV_STAMP)
	$(PY) examples/flights.py

test: $(DEV_STAMP)
	$(PY) -m pytest -n 2 $(PYTEST_ARGS)

test-all: test
	$(PY) -m pytest -n 2 -m "slow and not external" $(PYTEST_ARGS)

# Options, e.g. HOSTILE_ARGS="100 100 100 7": files, inputs, forks and the seed.
hostile: $(DEV_STAMP)
	$(PY) tests/hostile/long_run.py $(HOSTILE_ARGS)

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEV_STAMP)
	$(PY) -m mypy

# With the pinned versions; see the script for the lowest and the newest.
package: $(DEV_STAMP)
	$(PIP_INSTALL) build
	$(PY) .ci/check_package.py --constraint constraints.txt

# With what is installed of benchmarks/requirements-peers.txt; BENCH_ARGS=--profile
# tells where the time of a step goes.
bench: $(DEV_STAMP)
	$(PY) benchmarks/run.py $(BENCH_ARGS)

# Measures all architectures with their defaults beside other libraries: hours, but it
# goes on where it was interrupted. Options, e.g.
# DEFAULTS_ARGS="--adult adult.csv.gz --models FM peers --seeds 0"
defaults: $(DEV_STAMP)
	$(PIP_INSTALL) -r benchmarks/requirements-peers.txt
	$(PY) benchmarks/defaults.py $(DEFAULTS_ARGS)
	$(PY) benchmarks/defaults_report.py

docs: $(DOCS_STAMP)
	$(PY) -m sphinx -W --keep-going -b html docs docs/_build/html

# A venv that was interrupted half-way has python but no pip: pip is the target.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("skfm needs Python 3.11 or newer; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone, so that pip picks the CPU build where one is offered
# before anything else asks for torch.
$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP_INSTALL) torch==2.13.0 -c constraints.txt
	$(PIP_INSTALL) -e ".[dev]" -c constraints.txt
	@touch $@

$(DOCS_STAMP): $(DEV_STAMP)
	$(PIP_INSTALL) -e ".[docs]" -c constraints.txt
	@touch $@

clean:
	rm -rf build dist docs/_build docs/auto_examples docs/api/generated docs/api/backreferences examples/output
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find skfm tests examples benchmarks docs -type d -name __pycache__ \
		-prune -exec rm -rf {} + 2>/dev/null || true

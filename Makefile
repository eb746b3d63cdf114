# Eclor: the verbs of every day, the same here and in CI. `make` alone lists them.
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CODE := $(wildcard protocols edge cloud firmware_sim cli benchmarks scripts tests)

.PHONY: help
help:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: $(VENV) ## a whole territory on this machine, live in the browser; needs only Python
	@$(BIN)/eclor demo $(DEMO)

.PHONY: test test-wheel test-services
test: $(VENV) ## every test: built wheel; beside it plain PostgreSQL, TimescaleDB and Mosquitto
	@$(BIN)/python -m tests.services --prepare || true # where it cannot be had, pytest says so
	@$(MAKE) --no-print-directory --output-sync=target -j2 test-wheel test-services

# What needs no service runs once, on the installed wheel if that has all that it needs. The two
# lanes take about as long as each other.
test-wheel:
	$(BIN)/python scripts/check_wheel.py
	$(BIN)/python -m pytest -q -m "(broker or checkout) and not database"

test-services:
	ECLOR_TEST_EDITION=plain $(BIN)/python -m pytest -q -m database
	ECLOR_TEST_EDITION=timescale $(BIN)/python -m pytest -q -m database

.PHONY: check
check: $(VENV) ## formatting, lint, types, import contracts, memory budget, generated code
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_edge_budget.py
	$(BIN)/python scripts/check_wire_code.py

.PHONY: bench
bench: $(VENV) ## measure every published figure and hold it against benchmarks/bars.toml
	@set -e; for file in benchmarks/bench/[a-z]*.py; do \
	  $(BIN)/eclor bench $$(basename $$file .py | tr _ -) --assert; done
	@set -e; for file in benchmarks/evaluations/[a-z]*.py; do \
	  $(BIN)/eclor eval $$(basename $$file .py | tr _ -) --assert; done

.PHONY: docs
docs: $(VENV) ## write the generated pages of docs/ anew
	$(BIN)/python -m benchmarks.page

.PHONY: services
services: $(VENV) ## TimescaleDB and Mosquitto in the foreground, with the URLs to use them
	@$(BIN)/python -m tests.services

# The stamp is newer than the lock exactly when the environment holds what the lock names.
$(VENV)/.locked: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Eclor needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.13 ..."; exit 1; }
	@test -x $(BIN)/python -a -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Making the virtual environment failed. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing the locked dependencies into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: $(VENV)
$(VENV): $(VENV)/.locked

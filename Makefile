# Lineup's tasks. `make` lists them; PORT, WORKSPACE and PYTHON can be set: make run PORT=8600 WORKSPACE=~/my-set
# TORCH=cpu installs the CPU build of torch, where uv can reach it.
PORT ?= 8501
WORKSPACE ?=
TORCH ?=
VENV ?= .venv
# The first Python on this machine that is new enough.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint lowest audit bench clean

# List the tasks.
help:
	@awk '/^# /{note=substr($$0, 3)} /^[a-z]+:/{split($$1, name, ":"); printf "make %-6s %s\n", name[1], note}' Makefile

# Serve the dashboard on the bundled demo at 127.0.0.1:8501. The first time it installs what it needs, serves, and goes on
# to install what training needs; pages say how far that is.
run: $(VENV)/base.stamp
	@[ -e $(VENV)/train.stamp ] && [ $(VENV)/train.stamp -nt requirements-build.txt ] \
	  && [ $(VENV)/train.stamp -nt pyproject.toml ] || { export LINEUP_INSTALL="$(abspath $(VENV))/train.json"; \
	  $(BIN)/python -m attribution.install requirements-build.txt --stamp $(VENV)/train.stamp --torch "$(TORCH)" & }; \
	$(BIN)/python -m attribution.serve --port "$(PORT)" $(if $(WORKSPACE),--workspace "$(WORKSPACE)")

# Install what the tests need; check the style; run unit and page tests side by side, then those in a browser.
test: $(VENV)/test.stamp lint
	@$(BIN)/python tests/browser/chromium.py
	@LINEUP_REQUIRE_BROWSER= $(BIN)/python -m pytest tests/unit tests/pages \
	  --numprocesses=logical --maxprocesses=8 --dist=loadscope --no-loadscope-reorder
	@$(BIN)/python -m pytest tests/browser

# Check the style, the names, the docstrings and, where the numbers are made, the types.
lint: $(VENV)/test.stamp
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m mypy

# Try the lowest version of every range in pyproject.toml, in an environment of its own, and run the tests with these.
lowest: $(VENV)/test.stamp
	@$(BIN)/python tests/lowest.py

# Look up known vulnerabilities of what is installed; without a network a line says that nothing was looked up.
audit: $(VENV)/test.stamp
	@$(BIN)/python tests/vulnerabilities.py

# Run every benchmark; each prints JSON. They want an otherwise idle machine.
bench: $(VENV)/test.stamp
	@$(BIN)/python tests/browser/chromium.py
	@for script in tests/benchmarks/*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

# Remove the virtual environment and what tools left behind; results in the data folder stay.
clean:
	@rm -rf $(VENV) .pytest_cache .ruff_cache tests/browser/failures
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What serving needs. The stamp is touched last, so that an interrupted installation is taken up again.
$(VENV)/base.stamp: pyproject.toml requirements.txt
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
	  "Lineup needs Python 3.11 or newer: install one, or name it with PYTHON=/path/to/python3." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "$(PYTHON) cannot create virtual environments: run 'apt install python3-venv' and try again." >&2; exit 2; }
	@echo "Installing what Lineup needs into $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

# What `make test` needs: all of it.
$(VENV)/test.stamp: $(VENV)/base.stamp requirements-build.txt requirements-cluster.txt requirements-dev.txt
	@echo "Installing what training and the tests need into $(VENV) (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/train.stamp $@

# Everything a user or CI runs. `make demo` is the place to start.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help install install-dev system demo check test test-slow bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Habilis needs Python 3.11 or newer: make PYTHON=python3.11 ...'; exit 1; }
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip --version >/dev/null || { rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) install -c constraints.txt -e '.[bench,convert,dev,models,ros,shadow,train]'
	@touch $@

system:  ## system libraries for rendering and point clouds, when they are missing
	@sh .ci/system_packages $(PYTHON)

install: system $(VENV)/.base  ## the virtual environment with what `habilis run` needs

install-dev: system $(VENV)/.dev

demo: install  ## put the red block in the bowl, on the simulated robot
	$(BIN)/habilis run "put the red block in the bowl"

check: install-dev  ## lint, format, types, import rule, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto -m "not slow and not long and not render and not gpu and not ros" --benchmark-disable

test: install-dev  ## all tests that need no GPU, no ROS and no network
	$(BIN)/python -m pytest -n auto -m "not slow and not gpu and not ros" --benchmark-disable

test-slow: install-dev  ## long benches and learning runs
	$(BIN)/python -m pytest -m "slow and not gpu and not ros" --benchmark-disable

bench: install-dev  ## overheads, and the tabletop benchmark
	$(BIN)/python -m pytest tests/bench --benchmark-only --benchmark-columns=min,median,mean,rounds
	$(BIN)/habilis bench benchmark=tabletop episodes=40

clean:  ## remove the environment and caches; runs/ is kept
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

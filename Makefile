# Needs Python ≥ 3.10, make and a package index. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=
TARGET ?= aarch64-cp311

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
BUNDLED := edgecl/backbones/efficientnet-lite0
# dev holds all that demo needs, so whoever has installed it is not asked to install again.
DEMO_READY := $(VENV)/.installed-demo
DEV_READY := $(VENV)/.installed-dev

.PHONY: help demo system test lint check bench wheel check-wheel bundle check-service addon clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PYTHON=python3.12 chooses the interpreter of a new $(VENV); ARGS=… are passed on by demo, test and bench"

$(BIN)/python:
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and f"found Python {sys.version.split()[0]}, expected 3.10 or newer; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV)

$(DEMO_READY): pyproject.toml | $(BIN)/python
	@echo "installing edgecl[train,demo], which takes some minutes once"
	@$(PIP) install -e '.[train,demo]'
	@touch $@

$(DEV_READY): pyproject.toml | $(BIN)/python
	@echo "installing edgecl[dev], which takes some minutes once"
	@$(PIP) install -e '.[dev]'
	@touch $(DEMO_READY) $@

demo: $(DEMO_READY) ## teach a camera; without one, sample photographs. ARGS=--script runs it unattended
	@$(BIN)/edgecl demo $(ARGS)

system: ## install what tests need of Debian: a browser, a broker, other programs' cameras; as root
	@apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
		$$(sed 's/#.*//' deploy/debian-packages.txt) >/dev/null

test: $(DEV_READY) ## run all tests with coverage
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --cov --cov-report=term --cov-fail-under=90 $(ARGS)

lint: $(DEV_READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test ## all that has to pass before a change goes in

bench: $(DEV_READY) ## run every benchmark; figures go to benchmarks/results/ and into README
	@set -e; for script in benchmarks/*.py; do \
		[ -e "$$script" ] || { echo "found no benchmarks/*.py"; exit 1; }; \
		echo "== $$script"; $(BIN)/python "$$script" $(ARGS); \
	done
	@cd benchmarks && ../$(BIN)/python -m support.table

# A backbone is exported once; what it is made of does not change with our code's every change. `make clean` removes it.
$(BUNDLED)/manifest.json: | $(DEMO_READY)
	@rm -rf $(BUNDLED)
	@$(BIN)/edgecl export --backbone efficientnet-lite0 --out $(BUNDLED)

wheel: $(BUNDLED)/manifest.json ## build dist/edgecl-….whl with the backbone in it, all that a device needs
	@rm -f dist/*.whl
	@$(PIP) wheel --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

$(BIN)/uv: | $(BIN)/python
	@$(PIP) install 'uv>=0.5'

check-wheel: wheel | $(BIN)/uv ## every command with that wheel alone, on each Python here, with newest and oldest packages
	@$(BIN)/python deploy/check_wheel.py dist/*.whl

bundle: wheel | $(BIN)/uv ## all that a device without a network needs as one .tar. TARGET=aarch64-cp311, KEY=private key
	@$(BIN)/python deploy/bundle.py dist/*.whl --target $(TARGET) $(if $(KEY),--key $(KEY))

check-service: ## walk the service through its life on a bare Debian that is made for it, with systemd in charge; as root
	@$(MAKE) -s bundle TARGET=$$(uname -m)-cp311
	@$(PYTHON) deploy/check_service.py dist/edgecl-*-$$(uname -m)-cp311.tar

addon: wheel ## the Home Assistant app as one .tar, to be unpacked in its folder addons
	@$(BIN)/python deploy/addon.py dist/*.whl

clean: ## remove what was built, but for .venv
	@rm -rf dist build $(BUNDLED) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

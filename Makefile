# The same few commands for people and for CI. Each one installs what it needs first:
# requirements.lock pins every package with its hashes.

PYTHON ?= python3
WORKERS ?= 3
# For tests that wait: for emulators most of the time, for other processes half of it.
PROVIDER_WORKERS ?= 5
FAULT_WORKERS ?= 3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FRONTEND := $(BIN)/python workbench/frontend/hatch_build.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where it is set, every process compiles anew what it imports, which costs each kernel a second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install frontend lab app test test-faults test-diffusers browser lint lint-python lint-frontend \
  format screenshots bench requirements lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Options: PYTHON=python3.12  WORKERS=3 (test processes)  ARGS="…" (passed on)'

install: $(STAMP) ## .venv with everything from the lock file, and this checkout in it

$(STAMP): requirements.lock requirements-node.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("image-workbench needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12 …")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(FRONTEND) --has-node || $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-node.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

frontend: $(STAMP) ## build the widgets' JavaScript if its sources changed
	@$(FRONTEND)

lab: frontend ## open JupyterLab on a notebook that generates images at once
	$(BIN)/jupyter-workbench lab $(ARGS)

app: frontend ## serve the notebook as a page with Voilà
	$(BIN)/jupyter-workbench app $(ARGS)

test: lint frontend browser ## lint and every test but the fault matrix (meant for 12 minutes on two cores)
	@$(FRONTEND) test
	$(BIN)/python -m pytest tests --ignore=tests/providers -m "not faults" -n $(WORKERS) --dist loadgroup $(ARGS)
	$(BIN)/python -m pytest tests/providers -m "not faults" -n $(PROVIDER_WORKERS) $(ARGS)

test-faults: frontend browser ## kills, full disks, cut connections, hostile pages, soaks (meant for 15 minutes)
	$(BIN)/python -m pytest tests --ignore=tests/faults -m faults -n $(WORKERS) --dist loadgroup $(ARGS)
	$(BIN)/python -m pytest tests/faults -n $(FAULT_WORKERS) $(ARGS)

# The versions that the tests ran with. Where pip finds no CPU build of torch, it takes a large one.
DIFFUSERS := torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 accelerate==1.15.0

test-diffusers: ## the tests that need torch, in an environment of their own (about 2 GB)
	test -x build/diffusers/bin/pip || $(PYTHON) -m venv build/diffusers
	build/diffusers/bin/pip install --quiet --require-hashes --requirement requirements.lock
	build/diffusers/bin/pip install --quiet $(DIFFUSERS)
	build/diffusers/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	OMP_NUM_THREADS=1 build/diffusers/bin/python -m pytest tests/providers/diffusers $(ARGS)

browser: $(STAMP)
	$(BIN)/python tests/browser/ensure_browser.py

lint: $(STAMP) ## ruff, its formatter, mypy; tsc and eslint
	@$(MAKE) --no-print-directory -j2 lint-python lint-frontend

lint-python: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict -p workbench

lint-frontend: $(STAMP)
	@$(FRONTEND) check lint

format: $(STAMP) ## let ruff put the code in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

screenshots: frontend browser ## every state of widgets and app, to be looked at; ARGS="lightbox" for some
	$(BIN)/python tests/browser/screenshots.py $(ARGS)

bench: frontend ## the benchmarks; ARGS="PF-8" for some of them
	$(BIN)/python -m benchmarks $(ARGS)

requirements: $(STAMP) ## make tests/requirements.md anew from the marks of the tests
	$(BIN)/python -m pytest --collect-only -q --requirements-table tests/requirements.md tests >/dev/null
	@sed -n 4p tests/requirements.md

lock: ## make the lock files anew (the tests', node's, Binder's); ARGS=--upgrade for the newest
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip compile pyproject.toml --quiet $(ARGS) \
	  --universal --python-version 3.11 --generate-hashes \
	  --extra test --extra postgres --extra comfyui \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --output-file requirements.lock
	build/lock/bin/uv pip compile --group node --quiet $(ARGS) \
	  --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --output-file requirements-node.lock
	build/lock/bin/uv pip compile pyproject.toml --group binder --quiet \
	  --python-version 3.11.14 --python-platform linux --generate-hashes \
	  --constraint requirements.lock \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --output-file binder/requirements.txt

clean: ## remove builds and caches (the environment stays: rm -r .venv)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

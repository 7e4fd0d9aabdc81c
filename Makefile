# One command per chore. `make up` and `make test` do their whole set-up: a
# virtual environment, uv inside it, and what the locks in requirements/ name.
#
#   make up      start the hub            make test    check everything
#   make dev     start with autoreload    make check   lint, types, layers
#   make fmt     format                   make bench   run the benchmarks
#   make lock    renew the locks          make contract   test the APIs' documents at length
#   make clean   remove what make made
#
# BACKEND chooses MLX's back end on Linux: cpu (default), cuda12 or cuda13.
# PYTHON chooses the interpreter (3.11 or newer).

.DEFAULT_GOAL := up
.PHONY: up dev test check check-code check-types check-locks contract fmt lock bench clean install install-dev chromium

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/python requirements/uv_like_pip.py
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --no-deps

BACKEND ?= cpu
ifneq ($(BACKEND),$(filter $(BACKEND),cpu cuda12 cuda13))
$(error BACKEND=$(BACKEND) is unknown: use cpu, cuda12 or cuda13)
endif

export CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))

PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11
NODE_TESTS := tests/e2e/node

# Without bytecode each of the hub's processes compiles thousands of modules at every start.
unexport PYTHONDONTWRITEBYTECODE

# Each takes whole files, in their order: the browser's come last, as conftest.py says why.
TEST_PROCESSES ?= 2

CHECK_VERSION := import sys; sys.exit(sys.version_info < (3, 11))

# --- everyday -----------------------------------------------------------------

up: install
	@exec $(BIN)/mlx-hub up

dev: install
	@MLXHUB_DEBUG=1 exec $(BIN)/python manage.py runserver

test: check chromium $(NODE_TESTS)/node_modules/.installed
	@$(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

contract: install-dev
	@CONTRACT_CASES=300 $(BIN)/pytest mlxhub_site/tests/test_api_contract.py

# Beside each other: types take as long as the rest, and who looks the locks up waits for answers.
check: install-dev
	@$(MAKE) --no-print-directory --jobs=3 check-code check-types check-locks

check-code:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --lint templates
	@! git rev-parse --git-dir >/dev/null 2>&1 || git ls-files -z ':!requirements/*.txt' ':!*package-lock.json' \
	  | xargs -0 $(BIN)/detect-secrets-hook --no-verify --disable-plugin KeywordDetector

check-types:
	@home=$$(mktemp -d); trap 'rm -rf "$$home"' EXIT; export MLXHUB_HOME="$$home"; \
	$(BIN)/mypy && \
	$(BIN)/python manage.py check --fail-level WARNING && \
	$(BIN)/python manage.py makemigrations --check --dry-run

check-locks:
	@$(BIN)/python requirements/audit.py

fmt: install-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install-dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(NODE_TESTS)/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

chromium:
	@test -n "$(CHROMIUM)" || { \
	  echo "The browser tests need Chromium, and none was found."; \
	  echo "Debian, Ubuntu: sudo apt-get install chromium.  macOS: brew install --cask chromium."; \
	  echo "Elsewhere: make test CHROMIUM=/path/to/chromium"; exit 1; } >&2

# --- set-up: each step leaves a stamp, so that a second start installs nothing -----

install: $(VENV)/.installed-$(BACKEND)
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-setup: requirements/setup.txt
	@for python in $(PYTHONS); do \
	  "$$python" -c '$(CHECK_VERSION)' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV) && break; \
	  echo "Could not make a virtual environment. Debian, Ubuntu: sudo apt-get install python3-venv." >&2; exit 1; \
	done
	@test -x $(BIN)/python || { \
	  echo "MLX Model Hub needs Python 3.11 or newer, and none was found." >&2; \
	  echo "Install one, or name it: make up PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.installed-$(BACKEND): $(VENV)/.installed-setup pyproject.toml requirements/hub.txt requirements/$(BACKEND).txt requirements/blas.txt
	@echo "Installing the hub ($(BACKEND)). This takes a minute the first time."
	@rm -f $(VENV)/.installed-{cpu,cuda12,cuda13}
	@$(UV) pip uninstall --quiet --python $(BIN)/python mlx-cpu mlx-cuda-12 mlx-cuda-13 2>/dev/null || true
	@$(INSTALL) --require-hashes -r requirements/hub.txt -r requirements/$(BACKEND).txt
	@if [ $(BACKEND) = cpu ] && ! $(BIN)/python -c 'import ctypes; ctypes.CDLL("libopenblas.so.0")' 2>/dev/null; then \
	  $(INSTALL) --require-hashes -r requirements/blas.txt; fi
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed-$(BACKEND) requirements/dev.txt
	@echo "Installing what development needs."
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

# The official clients for Node, which the tests run against the hub.
$(NODE_TESTS)/node_modules/.installed: $(NODE_TESTS)/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "The client tests need Node 18 or newer with npm, and none was found." >&2; \
	  echo "Debian, Ubuntu: sudo apt-get install nodejs npm.  macOS: brew install node." >&2; exit 1; }
	@cd $(NODE_TESTS) && npm ci --silent
	@touch $@

# --- locks: hashes, no addresses -------------------------------------------------

# By uv alone, from the public index: a mirror or a wheel folder that pip knows may
# lack the files of other platforms, and with them their hashes.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-emit-package mlx-cpu
LOCK_GROUP = $(LOCK) --constraint requirements/hub.txt --group

lock: $(VENV)/.installed-setup
	$(LOCK) pyproject.toml --group starter --output-file requirements/hub.txt
	for name in setup blas dev cuda12 cuda13; do \
	  $(LOCK_GROUP) $$name --output-file requirements/$$name.txt; done
	$(subst --no-emit-package mlx-cpu,,$(LOCK_GROUP)) cpu --output-file requirements/cpu.txt

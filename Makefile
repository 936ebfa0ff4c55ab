# Everything here works on a fresh machine with git, make and Python 3.10 or newer (Debian: python3-venv as well).
#   PYTHON=/path/to/python3   use that interpreter     VENV=dir   another place than .venv
#   ARGS='-k spam'            more arguments for pytest   JOBS=1   tests at a time (one job keeps a file's tests together)
VENV ?= .venv
PYTHON ?=
PORT ?= 8080
ARGS ?=
# One more than there are processors: many tests wait for something, and meanwhile another goes on.
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
export VENV PYTHON

# What shellcheck looks at: every POSIX sh or bash program of ours.
SHELL_PROGRAMS = bin/detect bin/build nachlass_bp/inside/programs/* scripts/*.sh .ci/run

.DEFAULT_GOAL := help
.PHONY: help setup run test check format lock tools bench-build bench-serve clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## make .venv with the project and its test tools; quick when nothing changed
	@scripts/setup.sh

run: setup ## build examples/spam from its notebooks and serve it, with a page for browsers, on http://127.0.0.1:8080
	$(VENV)/bin/nachlass run examples/spam --port $(PORT)

test: setup ## run the tests
	$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: setup ## formatting, lint, types, shell, spelling
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy --explicit-package-bases tests scripts bench
	$(VENV)/bin/shellcheck $(SHELL_PROGRAMS)
	$(VENV)/bin/codespell

format: setup ## let ruff rewrite what `check` would complain about
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: setup ## resolve the locked dependencies anew
	$(VENV)/bin/python scripts/lock.py

tools: ## build the Cloud Native Buildpacks lifecycle into .tools/ (needs Go)
	@scripts/install-go-tool.sh lifecycle

bench-build: setup ## measure builds, runs and the stage cache, beside papermill and jupyter-cache
	$(VENV)/bin/python -m bench.build $(ARGS)

bench-serve: setup ## measure the service, beside FastAPI, MLServer, BentoML, LitServe and MLflow (needs wrk and Go)
	$(VENV)/bin/python -m bench.serve $(ARGS)

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .tools .cache .pytest_cache .mypy_cache .ruff_cache dist build

# Everything here works on a fresh machine with git, make and Python 3.10 or newer (Debian: python3-venv as well).
#   PYTHON=/path/to/python3   use that interpreter     VENV=dir   another place than .venv
#   ARGS='-k spam'            more arguments for pytest   JOBS=1   tests at a time (one job keeps a file's tests together)
VENV ?= .venv
PYTHON ?=
PORT ?= 8080
PACK = .tools/pack/pack
BUILDER ?= paketo
ARGS ?=
# One more than there are processors: many tests wait for something, and meanwhile another goes on.
JOBS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
export VENV PYTHON

# What shellcheck looks at: every POSIX sh or bash program of ours.
SHELL_PROGRAMS = bin/detect bin/build nachlass_bp/inside/programs/* scripts/*.sh builders/s2i/bin/* tests/e2e/providers/*/*/bin/* .ci/run

.DEFAULT_GOAL := help
.PHONY: help setup run test check format lock tools docker base-images buildpack composite publish builder s2i-builder \
	bench-build bench-serve bench-image clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## make .venv with the project and its test tools; quick when nothing changed
	@scripts/setup.sh

run: setup ## build examples/spam from its notebooks and serve it, with a page for browsers, on http://127.0.0.1:8080
	$(VENV)/bin/nachlass run examples/spam --port $(PORT)

test: setup ## run the tests
	$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

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

tools: ## build the Cloud Native Buildpacks lifecycle and pack into .tools/ (needs Go)
	@scripts/install-go-tool.sh lifecycle
	@scripts/install-go-tool.sh pack

docker: ## start a container engine where none answers (Debian without an init system, as root)
	@scripts/docker-engine.sh

base-images: ## make the Debian builder's images, nachlass/build-debian and nachlass/run-debian (BASE=debian:bookworm-slim pulls one)
	@scripts/base-images.sh

buildpack: setup tools ## package the buildpack as dist/nachlass.cnb; WHEELS=1: with its wheels, for amd64 and arm64
	@scripts/buildpackage.sh

composite: buildpack ## package it together with Paketo's Python, as dist/nachlass-paketo.cnb (pulls Paketo's)
	$(PACK) buildpack package dist/nachlass-paketo.cnb --config builders/paketo/package.toml --format file --pull-policy if-not-present

publish: setup tools ## push the buildpack as an image: make publish REGISTRY=ghcr.io/you
	@test -n "$(REGISTRY)" || { echo "Say where to: make publish REGISTRY=ghcr.io/you" >&2; exit 1; }
	@scripts/buildpackage.sh $(REGISTRY)

builder: buildpack ## make the local image nachlass/builder-paketo, or BUILDER=heroku, BUILDER=debian
	@scripts/builder.sh $(BUILDER)

s2i-builder: setup ## make the local image nachlass-s2i, for `s2i build` and OpenShift's source strategy
	@scripts/s2i-builder.sh

bench-build: setup ## measure builds, runs and the stage cache, beside papermill and jupyter-cache
	$(VENV)/bin/python -m bench.build $(ARGS)

bench-serve: setup ## measure the service, beside FastAPI, MLServer, BentoML, LitServe and MLflow (needs wrk and Go)
	$(VENV)/bin/python -m bench.serve $(ARGS)

bench-image: setup tools ## measure images: builds by pack, sizes, cold starts (needs an engine and root)
	$(VENV)/bin/python -m bench.image $(ARGS)

clean: ## remove everything that the other targets made
	rm -rf $(VENV) .tools .cache .pytest_cache .mypy_cache .ruff_cache dist build

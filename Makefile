# Python ≥ 3.11, make and pip are all that is needed. Settings come from the environment and .env.

# The first Python that is new enough; `make PYTHON=/path/to/python …` chooses another.
PYTHON ?= $(or $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done), no-python)
VENV := .venv
TESTS ?= -n 2

.PHONY: help run test lint format bench venv venv-dev clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

# `exec`: make ends the process it started, and that must be the supervisor itself.
run: venv ## start everything: server, workers, API and dashboard (PORT, DATA_DIR, …)
	@exec $(VENV)/bin/python -m app --end-with-parent

test: venv-dev ## the whole test suite
	@exec $(VENV)/bin/python -m pytest -q $(TESTS)

lint: venv-dev ## ruff, mypy, deptry
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python -m deptry .

# BENCH="--quick --only drain,submit" and the like; see benchmarks/peers/__main__.py.
bench: venv-dev ## measure beside other queues, installed into .bench; about 25 minutes
	$(VENV)/bin/python -m benchmarks.peers $(BENCH)
	$(VENV)/bin/python -m tools.performance

format: venv-dev ## let ruff format the code
	$(VENV)/bin/python -m ruff format .
	$(VENV)/bin/python -m ruff check --fix .

venv: ## the environment of `make run`, in .venv
	@$(call ensure,requirements.txt)

venv-dev: ## the environment of `make test`
	@$(call ensure,requirements-dev.txt)

clean: ## remove the environment and caches (never the data)
	rm -rf $(VENV) .bench .mypy_cache .pytest_cache .ruff_cache .hypothesis

define ensure
command -v '$(PYTHON)' >/dev/null || { \
	echo 'Python 3.11 or newer is needed and was not found. Install it, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)' >&2; exit 1; }; \
exec '$(PYTHON)' tools/venv.py $(VENV) $(1)
endef

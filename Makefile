# A machine needs Python 3.11+, make and git; everything else comes through here.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# For test-compose: made on this machine (local), or from a registry (public).
IMAGES ?= local
# For bench-peers: events of a backlog, its rounds, seconds of each freshness.
EVENTS ?= 300000
ROUNDS ?= 3
SECONDS ?= 20
# For chaos: what decides the moments of its faults.
SEEDS ?= 1
# For chaos-pages: kills of the broker, and how often each other fault happens.
KILLS ?= 30
FAULTS ?= 10
# How many processes run tests at once; each has a Kafka and a Postgres of its own (about 1 GB).
WORKERS ?= 3
# In the order given, so that the many short unit tests fill up the end.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# What test-serial runs one after another, since it measures time, and what two at a time.
TIMED := $(addprefix tests/acceptance/,test_faults.py test_limits.py test_outages.py test_recovery.py)
OTHERS := $(filter-out $(TIMED),$(wildcard tests/acceptance/test_*.py)) $(filter-out tests/unit tests/integration tests/acceptance tests/browser tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/ tests/test_*.py)))

.PHONY: help setup dev coverage test test-all test-long test-serial test-pages test-fast test-sources test-containers test-compose check docs sbom audit format bench bench-jobs bench-api bench-page bench-ranges bench-peers bench-scale chaos chaos-mutations chaos-pages simulate lock client-types clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(BIN)/.ready ## make .venv with everything pinned; gives .venv/bin/nova-stream

$(BIN)/.ready: pyproject.toml requirements.lock requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with: make setup PYTHON=python3.12"; exit 1; }
	@echo "installing into .venv, some 1.4 GB ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement requirements-build.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --no-build --require-hashes requirements.lock requirements-build.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

dev: setup ## run everything on this machine: Kafka, Postgres, worker, API, demo (ARGS="--no-demo")
	@$(BIN)/nova-stream dev $(ARGS)

test: setup ## unit and integration tests in minutes, with a real Kafka and Postgres (ARGS="-k name")
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest tests/integration tests/unit $(PARALLEL) -m "not long"
else
	@$(BIN)/python -m pytest $(ARGS)
endif

test-all: test test-long test-serial ## all tests, about 45 minutes

test-long: setup ## unit and integration tests that are long by nature
	@$(BIN)/python -m pytest tests/integration tests/unit -n $(WORKERS) --dist worksteal -m long

test-serial: setup ## all other tests: one after another those that measure time, as of faults; two at a time those that start much, as Debezium, and the browser's
	@$(BIN)/python -m pytest $(TIMED)
	@$(BIN)/python -m pytest $(OTHERS) -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m pytest tests/browser -n 2 --dist loadfile -m "not long"

test-pages: setup ## every page of the dashboard with a large platform, and while something is away
	@$(BIN)/python -m pytest tests/browser/test_every_page_large.py tests/browser/test_every_page_in_faults.py $(ARGS)

coverage: setup ## make test under coverage.py, with the processes that tests start, and what it says of each file
	@$(BIN)/coverage erase
	@status=0; $(BIN)/coverage run -m pytest tests/integration tests/unit $(PARALLEL) -m "not long" || status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report --skip-covered && exit $$status

test-fast: setup ## unit tests only
	@$(BIN)/python -m pytest tests/unit $(PARALLEL) $(ARGS)

test-sources: setup ## every way of a real Debezium from a source database, some 6 minutes
	@$(BIN)/python -m pytest tests/sources -m sources $(ARGS)

test-containers: setup ## the container path, with an image made by tests/containers/build-images.sh
	@$(BIN)/python -m pytest tests/containers -m containers $(ARGS)

test-compose: setup ## all of docker-compose.yml, some 8 minutes the first time (IMAGES=public pulls its images)
ifneq ($(IMAGES),public)
	@tests/containers/build-images.sh
endif
	@NOVA_TEST_COMPOSE_IMAGES=$(IMAGES) $(BIN)/python -m pytest tests/containers -m compose $(ARGS)

check: setup ## ruff, format, mypy, imports, schemas against code, models and schema.sql against migrations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.schemas --check
	@$(BIN)/python -m tests.check_migrations

format: setup ## bring the code into form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## throughput, freshness and memory, each checked for exactness
	@$(BIN)/python -m benchmarks all $(ARGS)

bench-jobs: setup ## the guide's seven jobs at the guide's sizes, and the stream's freshness beside them
	@$(BIN)/python -m benchmarks.jobs $(ARGS)

bench-api: setup ## streams and reads of the API under load, beside a recount in SQL
	@$(BIN)/python -m benchmarks.api $(ARGS)

bench-ranges: setup ## figures and series of ranges of time at ten times the guide's sizes
	@$(BIN)/python -m benchmarks.ranges $(ARGS)

bench-page: setup ## how soon each page shows something, with 100,000 tasks behind it and 20 changes a second
	@$(BIN)/python -m pytest tests/browser/test_large.py -o log_cli=true -o log_cli_level=INFO $(ARGS)

bench-scale: setup ## cost, memory, freshness, recovery and disk by agents, workers, partitions, length and 10 million entities (ARGS="agents --agents 21 20000 --rounds 3")
	@$(BIN)/python -m benchmarks scale $(ARGS)

bench-peers: setup ## nova-stream beside Faust, Kafka Streams, Quix, Pathway, Flink and loops by hand (EVENTS, ROUNDS, SECONDS, ARGS="--only flink --json FILE")
	@$(BIN)/python -m benchmarks.peers --events $(EVENTS) --crash-events $(EVENTS) --rounds $(ROUNDS) --seconds $(SECONDS) $(ARGS)

chaos: setup ## the kill matrix of docs/reliability.md (SEEDS="1 2 3"), some 15 minutes a seed
	@$(BIN)/python -m tests.chaos --seeds $(SEEDS) $(ARGS)

chaos-mutations: setup ## the same with a fault put into the product for each scenario, which it must catch
	@$(BIN)/python -m tests.chaos --mutations --seeds $(SEEDS) $(ARGS)

chaos-pages: setup ## five pages open: 30 kills of Kafka, 10 of each other fault of Kafka, Postgres, worker and API; some 15 minutes
	@NOVA_TEST_KILLS=$(KILLS) NOVA_TEST_FAULTS=$(FAULTS) $(BIN)/python -m pytest tests/acceptance/test_faults.py -o log_cli=true -o log_cli_level=INFO

simulate: SEEDS = 0:10000000
simulate: SECONDS = 1800
simulate: setup ## histories of the stream and the jobs in virtual time, half an hour of them (SEEDS=0:5000 SECONDS=60)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --seconds $(SECONDS) $(ARGS)

lock: ## resolve the files of pinned packages anew: requirements*.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --group dev --all-extras --output-file requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --group docs --output-file requirements-docs.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --group build --constraint requirements.lock --output-file requirements-build.lock

client-types: setup ## the TypeScript client's types, anew from the API; npm must be installed
	@$(BIN)/python -c 'import json; from nova_stream.api.app import create_app; from nova_stream.settings import load_settings; print(json.dumps(create_app(load_settings()).openapi()))' > clients/typescript/openapi.json
	@cd clients/typescript && npm ci --silent --ignore-scripts && npm run --silent types

docs: setup ## the pages of docs/ as a site in site/, every link checked
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	@$(BIN)/uv pip sync --quiet --python .venv-docs/bin/python --no-build --require-hashes requirements-docs.lock
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

sbom: setup ## what the image contains, as CycloneDX: sbom.cdx.json
	@$(BIN)/python deploy/packages.py sbom sbom.cdx.json

audit: setup ## packages of the image and of all extras with known vulnerabilities; a warning where nothing answers
	@$(BIN)/python deploy/packages.py audit

clean: ## remove the virtual environment and caches
	rm -rf .coverage .coverage.* .venv .venv-docs site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The front door. Each target sets itself up: on a bare Debian or Ubuntu machine, as root, it only
# needs python3 (3.11 or newer), git and make.
PYTHON ?= python3
BIN = .venv/bin
# Bytecode is kept, whatever the machine's habit: programs and tests are started a hundred times.
export PYTHONDONTWRITEBYTECODE =
GIVEN = $(and $(KUBECONFIG),$(IMAGE))
# A worker a core. A file is one worker's, as its fixtures are; the longest come first, so that none is
# left over at the end.
TEST = $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
E2E = $(BIN)/python -m pytest
# What has a cluster for itself, one for each worker; the product's own tests need two, and quiet.
CLUSTERS = $(E2E) -n 2 --dist loadfile --no-loadscope-reorder \
	tests/contracts/cluster tests/e2e --ignore=tests/e2e/product
# Built before the first test, since each build takes what there is of the processors.
BUILT = $(PYTHON) tests/bed/setup.py --cluster && $(BIN)/python -m tests.bed.cluster.real build --images && $(BIN)/python -m tests.bed.opentofu
.DEFAULT_GOAL := help
.PHONY: help setup demo test check e2e bench generate pictures soak chaos

help:  ## show this
	@echo 'runbookd: make TARGET'
	@sed -n 's/^\([a-z0-9]*\):.*  ## /  \1\t/p' Makefile
	@echo 'demo takes SCENARIO=bad-release (a wrong one lists them), TIME_FACTOR=10 and KEEP=1; setup takes PYTHON=python3.'
	@echo 'chaos takes ROUNDS=50, SEED=7, ROUND=5 (that one alone) and PLANT=1 (a responder that must be caught).'
	@echo 'e2e takes KUBECONFIG=FILE and IMAGE=NAME:TAG for a cluster of yours, with the image already in its reach.'

setup:  ## install what is missing: Debian packages (as root), .venv from the lock with hashes
	@$(PYTHON) tests/bed/setup.py

demo: setup  ## see it work: a bad release is detected, rolled back, verified and reported
	@$(BIN)/python -m tests.bed.demo

check: setup  ## lint, types, import contracts, unit and consistency tests; a minute at most
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports
	$(TEST) tests/consistency tests/unit

test: setup  ## everything but the linters and e2e, with real parts on loopback; a quarter of an hour at most
	$(TEST) tests/scenarios tests/integration tests/contracts tests/consistency tests/unit

e2e: setup  ## on a real Kubernetes with really built images; as root, an hour at most the first time, then 20 minutes
	@$(if $(GIVEN),echo 'e2e: what every cluster can show is shown on yours',$(BUILT))
	$(if $(GIVEN),CLUSTER=given $(E2E) tests/e2e,CLUSTER=real $(CLUSTERS))
	$(if $(GIVEN),,$(E2E) tests/e2e/product)

bench: setup  ## measure beside the peers; BENCH="scrape webhooks" picks, BENCH_JSON=FILE keeps the figures
	@$(BIN)/python -m tests.bench $(BENCH) $(if $(BENCH_JSON),--json $(BENCH_JSON))

generate: setup  ## write anew what is made from the code: the chart's rules and the like
	@$(BIN)/python -c "from tests.generate import main; main()"

pictures: setup  ## take the README's pictures anew, of a bad release on the bed; a minute
	@$(BIN)/python -m tests.bed.screenshots

soak: setup  ## half an hour of 10,000 pods that change, relists and outages; SECONDS=1800
	@$(BIN)/python -m tests.soak

chaos: setup  ## kill, freeze and restart what runs at random moments, and count the effects at the target; 20 minutes
	@$(BIN)/python -m tests.chaos

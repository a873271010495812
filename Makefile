# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the others.
#
# The environments (.venv, adapters/evm/node_modules) are built once and again whenever a lock file changes;
# what the machine lacks is named first (.ci/preflight), with the command that installs it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
EVM := adapters/evm
WORKERS ?= 2
ARGS ?=

PYTHON_READY := $(VENV)/.locked
NODE_READY := $(EVM)/node_modules/.locked
CHECKERS := .venv-contracts
CHECKERS_READY := $(CHECKERS)/.locked
FOREIGN := $(EVM)/third_party
FOREIGN_READY := $(FOREIGN)/node_modules/.locked
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The lock must hold what anybody can install: this machine's own indexes and wheel folders stay out of it.
PIP_COMPILE := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null \
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# ------------------------------------------------------------------ the two commands
.PHONY: demo
demo: env ## run one incident end to end on two local chains (ARGS="--events FILE --json …")
	@exec $(BIN)/tocsin demo $(ARGS)

.PHONY: test
test: env ## run the tests: Python, then Solidity (ARGS goes to pytest)
	$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)
	@$(MAKE) forge-test

# ------------------------------------------------------------------ for developers
.PHONY: test-slow
test-slow: env ## run only the tests marked slow
	$(BIN)/python -m pytest -q -n 0 -m slow $(ARGS)

.PHONY: campaign
campaign: env ## run only the campaigns: everything of which other tests take a sample, many minutes
	$(BIN)/python -m pytest -q -n $(WORKERS) -m campaign $(ARGS)

.PHONY: check
check: lint types floors contracts-check docker-check ## lint, types, floors, committed artifacts, docker files

.PHONY: lint
lint: $(PYTHON_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(PYTHON_READY)
	$(BIN)/mypy

.PHONY: floors
floors: $(PYTHON_READY)
	$(BIN)/lint-imports

.PHONY: docker-check
docker-check: $(PYTHON_READY)
	$(BIN)/python -m pytest -q -n 0 tests/repo/test_docker.py

.PHONY: bench
bench: env ## measure: latency, intake, memory, appends (ARGS="--seed 1 …")
	@exec $(BIN)/python -m tests.bench $(ARGS)

.PHONY: contracts
contracts: $(NODE_READY) $(FOREIGN_READY) ## rebuild the committed contract artifacts
	node $(EVM)/tools/build.mjs
	node $(FOREIGN)/build.mjs

.PHONY: contracts-check
contracts-check: $(NODE_READY) $(FOREIGN_READY) ## fail if a committed artifact differs from a rebuild
	node $(EVM)/tools/build.mjs --check
	node $(FOREIGN)/build.mjs --check

.PHONY: forge-test
forge-test: $(NODE_READY) ## run the Solidity tests, offline (FORGE_ARGS goes to forge)
	@forge=$$(node $(EVM)/tools/native.mjs forge); cd $(EVM); exec "$$forge" test --offline $(FORGE_ARGS)

.PHONY: contracts-test
contracts-test: $(NODE_READY) $(CHECKERS_READY) ## Solidity tests with gas, symbolic proofs, static analysis (CHECKS="proofs slither")
	@CONTRACT_TOOLS="$(CURDIR)/$(CHECKERS)/bin" exec $(EVM)/tools/check-contracts $(CHECKS)

.PHONY: gas
gas: $(NODE_READY) ## write the gas snapshot anew, to be committed
	@forge=$$(node $(EVM)/tools/native.mjs forge); cd $(EVM); \
		FORGE_SNAPSHOT_CHECK=false FORGE_SNAPSHOT_EMIT=true exec "$$forge" test --offline --match-contract '^GasTest$$'

.PHONY: lock
lock: $(PYTHON_READY) ## rewrite the lock files (UPGRADE=1 takes newer releases)
	$(PIP_COMPILE) $(if $(UPGRADE),--upgrade) --extra relay --extra plans --extra dev -o requirements/dev.lock pyproject.toml
	$(PIP_COMPILE) -c requirements/dev.lock --extra relay -o requirements/relay.lock pyproject.toml
	$(PIP_COMPILE) -c requirements/dev.lock --extra relay --extra plans -o requirements/plans.lock pyproject.toml
	$(PIP_COMPILE) -c requirements/dev.lock -o requirements/base.lock pyproject.toml
	$(PIP_COMPILE) -c requirements/dev.lock -o requirements/build.lock requirements/build.in
	$(PIP_COMPILE) $(if $(UPGRADE),--upgrade) -o requirements/contracts.lock requirements/contracts.in
	npm --prefix $(EVM) install --package-lock-only --ignore-scripts --no-audit --no-fund
	npm --prefix $(FOREIGN) install --package-lock-only --ignore-scripts --no-audit --no-fund

.PHONY: clean
clean: ## remove environments, builds and caches
	rm -rf $(VENV) $(CHECKERS) $(EVM)/node_modules $(FOREIGN)/node_modules $(EVM)/out $(EVM)/cache dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find relay adapters proofs tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

# ------------------------------------------------------------------ environments
.PHONY: env
env: $(PYTHON_READY) $(NODE_READY)

$(PYTHON_READY): requirements/build.lock requirements/dev.lock pyproject.toml
	@python=$$(.ci/preflight); [ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	@echo "installing the locked Python packages into $(VENV) (a few minutes the first time)"
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/build.lock
	@$(PIP_INSTALL) --require-hashes --no-build-isolation -r requirements/dev.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(NODE_READY): $(EVM)/package.json $(EVM)/package-lock.json
	@.ci/preflight >/dev/null
	@echo "installing the locked Solidity tools into $(EVM)/node_modules"
	@npm --prefix $(EVM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@node $(EVM)/tools/native.mjs anvil >/dev/null && node $(EVM)/tools/native.mjs forge >/dev/null
	@touch $@

# halmos and slither want other releases than the relay: an environment of their own, for contracts-test alone.
$(CHECKERS_READY): requirements/contracts.lock
	@python=$$(.ci/preflight); [ -x $(CHECKERS)/bin/python ] || "$$python" -m venv $(CHECKERS)
	@echo "installing the locked contract checkers into $(CHECKERS)"
	@$(CHECKERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Only what rebuilds or checks foreign contracts needs their packages and compilers.
$(FOREIGN_READY): $(FOREIGN)/package.json $(FOREIGN)/package-lock.json
	@echo "installing the locked packages of foreign contracts into $(FOREIGN)/node_modules"
	@npm --prefix $(FOREIGN) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# make run: the whole product on this machine.  make test: every check.  Both need Python 3.11 (or newer) and make.
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup-requirements
RUN := $(VENV)/.run-requirements
DEV := $(VENV)/.dev-requirements
BROWSER := $(VENV)/.browser
BUILD := $(VENV)/build
EMULATE := tests/providers/emulate/node_modules/.installed
RECEIVER := tests/receivers/node_modules/.installed
CLIENT := tests/clients/typescript/node_modules/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
INSTALL := $(BIN)/python -m calendar_app.launcher.install
COMPILE := $(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --no-strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Else every process that is started compiles the product anew, and every run of pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run wheel release test test-clocks lint check-setup check-wheel faults soak bench lock clean

help:
	@echo "make run    start everything and open http://localhost:3000 (PORT=, DATA_DIR=, LOGS=1)"
	@echo "make test   formatting, lint, types, tests"
	@echo "make test-clocks  the tests at month ends, when clocks change, at the weekend (needs libfaketime)"
	@echo "make lint   formatting, lint, types"
	@echo "make check-setup  a first set-up, with pip and with uv, where every package has a newer release"
	@echo "make wheel  the product as one file for pip and uv, in dist/"
	@echo "make check-wheel  build it, install it with pip and with uv, start it, sign in"
	@echo "make release  the wheel, the list of its parts (CycloneDX) and checksums, in dist/"
	@echo "make faults every fault and attack, brought about, in a table"
	@echo "make soak   half an hour of bookings while everything fails (SOAK_MINUTES=)"
	@echo "make bench  the measurements"
	@echo "make lock   pin what requirements*.in name (UPGRADE=1: the newest versions that they allow)"
	@echo "make clean  remove .venv, builds and caches; data stays"

$(BIN)/python:
	@python=; for candidate in python3.11 python3 python3.12 python3.13; do \
	  if "$$candidate" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer cannot be found: install it, for example with apt-get install python3.11 python3.11-venv." >&2; exit 1; fi; \
	if ! "$$python" -c "import ensurepip, venv" 2>/dev/null; then echo "$$python has no venv module: install it, for example with apt-get install python3-venv." >&2; exit 1; fi; \
	echo "making $(VENV) with $$python ..."; "$$python" -m venv $(VENV)

$(SETUP): requirements-setup.txt | $(BIN)/python
	@$(PIP) --require-hashes -r requirements-setup.txt
	@touch $@

$(RUN): requirements.txt requirements-sandbox.txt $(SETUP)
	@echo "installing requirements (once) ..."
	@$(INSTALL) requirements.txt requirements-sandbox.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUN)
	@echo "installing what tests need (once) ..."
	@$(INSTALL) requirements-dev.txt
	@touch $@

# Somebody else's idea of Google, from npm, for tests/providers/test_emulate.py.
$(EMULATE): tests/providers/emulate/package-lock.json $(RUN)
	@echo "installing the third-party Google (once) ..."
	@npm ci --silent --no-audit --no-fund --prefix tests/providers/emulate
	@touch $@

# A receiver of webhooks as others write one, from npm, for tests/receivers.
$(RECEIVER): tests/receivers/package-lock.json $(RUN)
	@echo "installing the receiver of webhooks (once) ..."
	@npm ci --silent --no-audit --no-fund --prefix tests/receivers
	@touch $@

$(CLIENT): tests/clients/typescript/package-lock.json $(RUN)
	@echo "installing what makes a TypeScript client (once) ..."
	@npm ci --silent --no-audit --no-fund --prefix tests/clients/typescript
	@touch $@

# Debian's Chromium serves; elsewhere Playwright brings its own.
$(BROWSER): $(DEV)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || $(BIN)/playwright install chromium
	@touch $@

# exec: the launcher is a child of make itself, and stops when make is gone.
run: $(RUN)
	@ALMANAC_STOP_WITH_PARENT=1 exec $(BIN)/python -m calendar_app.launcher $(if $(LOGS),--logs)

# An environment of its own: what lists a release's parts would change how the tests' packages check formats.
$(BUILD)/.requirements: requirements-build.txt $(SETUP)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(BUILD)
	@$(INSTALL) --python $(BUILD)/bin/python requirements-build.txt
	@touch $@

# Node is needed here for the last time: the wheel carries the pages built.
wheel: $(RUN) $(BUILD)/.requirements
	@$(BIN)/python -m calendar_app.launcher.frontend
	@rm -rf dist && PATH="$(CURDIR)/$(BUILD)/bin:$$PATH" $(BUILD)/bin/python -m hatchling build -t wheel

release: wheel
	@$(BUILD)/bin/python deploy/release.py

# Two halves, then a few tests that count on today, under another clock. Four runners for two processors, as tests also
# wait. In the second half the serial tests run one after the other beside the browser tests; only files with such
# tests are read.
SERIAL = $(shell grep -rl "mark.serial" tests --include="test_*.py")
DATED = tests/clocks tests/services/calendar_sync/test_ics_import.py tests/services/bookings/test_ics_feeds.py tests/services/events/test_queries.py
test: $(DEV) $(EMULATE) $(RECEIVER) $(CLIENT) $(BROWSER)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy & types=$$!; $(BIN)/pytest -n 4 -m "not e2e and not serial"; tests=$$?; \
	wait $$types && exit $$tests
	@mkdir -p test-results; $(BIN)/pytest -m "serial and not e2e" $(SERIAL) >test-results/serial.txt 2>&1 & serial=$$!; \
	TEST_RUN=browsers $(BIN)/pytest tests/e2e; browsers=$$?; \
	wait $$serial; serial=$$?; cat test-results/serial.txt; exit $$((serial || browsers))
	$(BIN)/python -m tests.clocks --if-possible december -- $(DATED)

# CLOCKS="january saturday" chooses the clocks, TESTS="tests/e2e" what runs under them.
test-clocks: $(EMULATE) $(CLIENT) $(BROWSER)
	@$(BIN)/python -m tests.clocks $(CLOCKS) -- $(or $(TESTS),tests)

lint: $(DEV)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

check-setup: $(RUN)
	@$(BIN)/python -m tests.setup

# PYTHONS="python3.12 python3.13" tries others besides.
check-wheel: wheel
	@$(BIN)/python -m tests.setup.wheel $(PYTHONS)

faults: $(BROWSER)
	@$(BIN)/python -m tests.faults

soak: $(DEV)
	@SOAK_MINUTES=$(or $(SOAK_MINUTES),30) $(BIN)/python -m tests.faults.soak

bench: $(DEV)
	$(BIN)/python -m benchmarks

lock: $(SETUP)
	$(COMPILE) requirements-setup.in -o requirements-setup.txt
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-sandbox.in -o requirements-sandbox.txt
	$(COMPILE) requirements-build.in -o requirements-build.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf $(VENV) .web .states build dist test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make serve` sets everything up and serves; `make test` sets everything up and tests.
# On a machine with an NVIDIA GPU: make serve DEVICE=gpu

PYTHON ?= python3
DEVICE ?= cpu
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

PHOTOS ?=
# Tools of a release, which must not share versions with what they look at.
TOOLS := .cache/release-tools

SOAKED := $(addprefix tests/reliability/test_,soak.py upgrade.py overload.py hostile_clients.py server_kill.py)

.DEFAULT_GOAL := help
.PHONY: help setup serve test soak fuzz check sbom audit advisories format docs bench bench-classify bench-clients bench-index bench-quality tour lock

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.developing  ## Install everything that serving, exporting and testing need into .venv

serve: $(VENV)/.serving  ## Set up, fetch and export the default encoders, serve on 127.0.0.1:8000
	@$(BIN)/simila models export
	@exec $(BIN)/simila serve $(ARGS)

test: setup  ## Run every test
	@$(BIN)/pytest $(ARGS)

soak: setup  ## Kill, damage, overload and wear out, for half an hour or more: 220 kills, 600 damaged spots, 200,000 requests; open what the first version wrote
	@CRASH_ROUNDS=200 DAMAGE_SPOTS=600 \
	  $(BIN)/pytest -o faulthandler_timeout=1800 tests/reliability/crash tests/reliability/disk $(ARGS)
	@SOAK_REQUESTS=200000 SERVER_KILLS=20 OVERLOAD_REQUESTS=100 SIMILA_TEST_UPGRADE=1 \
	  $(BIN)/pytest -o faulthandler_timeout=7200 -o log_cli_level=WARNING -o log_cli=true $(SOAKED) $(ARGS)

fuzz: setup  ## Fuzz decoders, filters, the wire and every route for a quarter of an hour; search for counterexamples of every property
	@FUZZ_SECONDS=240 FUZZ_EXAMPLES=50 $(BIN)/pytest -o faulthandler_timeout=1800 tests/fuzz tests/api/test_openapi_fuzz.py $(ARGS)
	@$(BIN)/pytest --hypothesis-profile=search -m hypothesis tests/unit $(ARGS)

check: setup  ## Lint, format, types, import contracts, README
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/docs/licences.py
	@$(BIN)/python tests/docs/settings_table.py
	@$(BIN)/python tests/docs/conformance.py
	@$(BIN)/python tests/docs/async_client.py
	@$(BIN)/python tests/docs/openapi_contract.py

sbom: setup $(TOOLS)/.releasing  ## Write sbom.json, all that is installed with versions and licences (CycloneDX), for a release
	@$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --of JSON -o sbom.json

audit: setup  ## Compare what is installed with the lock, and ask PyPI's advisories about it where they answer
	@$(BIN)/python tests/docs/lock.py
	@! $(BIN)/python tests/docs/lock.py --advisories || $(MAKE) --no-print-directory advisories

advisories: $(TOOLS)/.releasing
	@$(TOOLS)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

format: setup  ## Put code and the README's generated parts in order
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

docs: setup  ## Write the README's settings, the table of protocols, the contract of the routes and, from a server on port 8000, what its commands print
	@$(BIN)/python tests/docs/settings_table.py --write
	@$(BIN)/python tests/docs/conformance.py --write
	@$(BIN)/python tests/docs/async_client.py --write
	@$(BIN)/python tests/docs/openapi_contract.py --write
	@$(BIN)/python tests/docs/console.py --write 8000

bench: setup  ## Measure throughput beside raw ONNX Runtime (wants wrk): make bench ARGS='--scenario T1 --peer infinity'
	@$(BIN)/python tests/benchmarks/throughput.py $(ARGS)

bench-classify: setup  ## Measure classifying beside embedding: make bench-classify ARGS='--labels 1000,100000'
	@$(BIN)/python tests/benchmarks/classify_cost.py $(ARGS)

bench-clients: setup  ## Measure the Python client beside the openai SDK: make bench-clients ARGS='--cache'
	@$(BIN)/simila models export
	@$(BIN)/python tests/benchmarks/clients.py $(ARGS)

bench-index: setup  ## Measure collections beside raw FAISS (wants wrk): make bench-index ARGS='--rows 1000000 --chart growth.png'
	@$(BIN)/python tests/benchmarks/index.py $(ARGS)

bench-quality: setup  ## Measure accuracy: make bench-quality PHOTOS=folder with train/CLASS/*.jpg and test/CLASS/*.jpg
	@$(BIN)/simila models export
	@$(BIN)/python tests/benchmarks/quality.py $(PHOTOS)

tour: setup  ## Write the pictures of the explorer that the README shows (wants chromium)
	@PYTHONPATH=tests $(BIN)/python tests/browser/tour.py docs/images $(ARGS)

lock: setup  ## Write the installed versions to constraints.txt
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new
	@mv constraints.new constraints.txt

$(TOOLS)/.releasing: | $(BIN)/python
	@$(BIN)/python -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Simila needs Python 3.11 or newer; choose one with make PYTHON=…")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serving: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Simila into $(VENV) (once; a minute or two)"
	@$(PIP) --editable '.[$(DEVICE),export]'
	@# Where PYTHONDONTWRITEBYTECODE is set, every start would compile what pip leaves editable.
	@$(BIN)/python -m compileall -q server models clients
	@touch $@

$(VENV)/.developing: $(VENV)/.serving
	@echo "Installing the tools of developers into $(VENV) (once)"
	@$(PIP) --editable '.[$(DEVICE),export,dev]'
	@touch $@

# Two doors for newcomers: `make demo` and `make test`. Both do all their set-up; the rest is the daily menu.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint types imports unit format bench requirements clean

demo: $(VENV)/.demo ## run the example project and print its report
	@examples/frontdesk/demo.sh $(CURDIR)/$(BIN)

test: check unit ## everything that CI runs

check: lint types imports

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/basedpyright

imports: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest -n 2

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## ratios side by side in one run; writes benchmarks/README.md
	$(BIN)/python -m benchmarks

requirements: ## refresh the pins after a change of pyproject.toml (needs uv)
	uv lock --upgrade
	uv export -q --no-annotate --no-header --no-emit-project --no-hashes --no-dev --extra otel -o requirements/demo.txt
	uv export -q --no-annotate --no-header --no-emit-project --no-hashes --group dev --all-extras -o requirements/dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "assay needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "could not make $(VENV): on Debian, apt-get install python3-venv"; exit 1; }

$(VENV)/.demo: $(BIN)/python requirements/demo.txt pyproject.toml
	@echo "installing what assay needs into $(VENV) (once)"
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements/demo.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	@echo "installing the development tools into $(VENV) (once)"
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

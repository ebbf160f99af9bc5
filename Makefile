# Everything a newcomer runs. Needs Python 3.11 and make; installs into .venv from the locked requirements.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup demo test lint bench lock wheelhouse clean

setup: $(VENV)/dev.stamp  ## install everything needed to run, test and lint

demo: $(VENV)/core.stamp  ## build shards from an embedded corpus, and say where to look
	$(BIN)/python -m workflows.demo demo

# Its hundreds of processes would each compile the sources anew where Python may not keep what it has compiled.
test: $(VENV)/dev.stamp  ## the whole test suite
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/dev.stamp  ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp  ## the benchmarks, one after the other
	for name in pictures shards build engines exchange contracts report near_text; do $(BIN)/python -m benchmarks.$$name || exit 1; done

lock: $(VENV)/dev.stamp  ## renew the locked requirements from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --generate-hashes --no-emit-index-url --no-header -o requirements/core.txt
	$(BIN)/uv pip compile pyproject.toml --quiet --extra dev --generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt

wheelhouse: $(VENV)/core.stamp  ## everything an offline site installs from: copy it there, then sh wheelhouse/install.sh VENV
	rm -rf wheelhouse
	$(PIP) download --only-binary :all: --require-hashes -r requirements/core.txt -d wheelhouse
	$(PIP) wheel --no-deps --no-build-isolation -w wheelhouse .
	cp requirements/core.txt workflows/cluster/install.sh wheelhouse/

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo build wheelhouse *.egg-info

$(VENV)/python.stamp:
	$(PYTHON) -m venv $(VENV)
	touch $@

# Of 8 GB of packages a small part is ever imported, and that is compiled then.
$(VENV)/core.stamp: $(VENV)/python.stamp requirements/core.txt pyproject.toml
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements/core.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp requirements/dev.txt
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements/dev.txt
	touch $@

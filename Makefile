# Everything a contributor types. `make env` is used by the others and does nothing when up to date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.env-stamp
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
WORKERS ?= 2

.PHONY: env demo test check format lint types layers bench chaos recipes clean

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# The demo needs less than a developer does, so it gets a smaller environment of its own.
DEMO := .venv-demo
$(DEMO)/.env-stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $(DEMO)/.env-stamp

demo: $(DEMO)/.env-stamp
	$(DEMO)/bin/loopwright train recipes/digits/config.py --work-dir work_dirs/digits --test

test: env
	$(THREADS) $(BIN)/pytest -q -n $(WORKERS) --dist worksteal

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: env
	$(BIN)/mypy

layers: env
	$(BIN)/pytest -q tests/test_layers.py tests/test_shape.py

check: lint types layers test

bench: env
	$(THREADS) $(BIN)/python benchmarks/overhead.py
	$(THREADS) $(BIN)/python benchmarks/trainer_overhead.py
	$(THREADS) $(BIN)/python benchmarks/startup.py

chaos: env
	$(THREADS) $(BIN)/pytest -q -n $(WORKERS) -m slow -s tests/chaos tests/checkpoint

recipes: env
	$(THREADS) $(BIN)/pytest -q -m slow -s tests/recipes

clean:
	rm -rf $(VENV) $(DEMO) work_dirs .pytest_cache .mypy_cache .ruff_cache .hypothesis

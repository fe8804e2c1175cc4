# Every target sets itself up: a fresh clone needs Python >= 3.11 with venv, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# All caches live under .venv, so that nothing outside .venv and outputs/ is written.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/cache/python
export RUFF_CACHE_DIR := $(CURDIR)/$(VENV)/cache/ruff
export MYPY_CACHE_DIR := $(CURDIR)/$(VENV)/cache/mypy
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export XDG_CONFIG_HOME := $(CURDIR)/$(VENV)/config
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install check lint format types spelling test test-fast demo bench gl clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

install: $(STAMP)  ## create .venv and install the pinned set

$(STAMP): pyproject.toml constraints.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	  --config-settings=--global-option="egg_info --egg-base=$(VENV)" --editable '.[dev]'
	@mkdir -p $(VENV)/types && ln -sfn ../../agents $(VENV)/types/mvr_agents  # its installed name, for mypy
	@touch $@

gl: $(STAMP)
	@$(BIN)/python -c "from mvr_wrappers.filming.gl import check_gl; check_gl()" 2>$(VENV)/gl.log \
	  || { tail -n 1 $(VENV)/gl.log >&2; exit 1; }

check: lint format types spelling  ## lint, format, types and spelling

lint: $(STAMP)
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format --check .

types: export MYPYPATH := $(VENV)/types
types: $(STAMP)
	$(BIN)/mypy -p mvr_wrappers -p mvr_agents

spelling: $(STAMP)
	$(BIN)/typos

# One thread a process, and a process a core: the networks of the tests are too small for more threads to pay.
test test-fast: export OMP_NUM_THREADS := 1
PYTEST := $(BIN)/python -m pytest -o cache_dir=$(VENV)/cache/pytest --numprocesses 2

test: gl  ## all tests; those that load JAX in processes of their own
	$(PYTEST) --jax
	$(PYTEST)

test-fast: gl  ## without the tests marked slow
	$(PYTEST) --jax -m "not slow"
	$(PYTEST) -m "not slow"

demo: gl  ## train window-close-v3 from its shaped reward, in about three minutes
	$(BIN)/mvr train window-close-v3 --preset demo --seed 0

# Those that take hours, or need a clone of HumanoidBench, are started by hand.
BENCHMARKS := costs filming overhead relabel_speed relevance_options scorer tqc

bench: gl  ## print the tables of the benchmarks that take minutes
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:  ## remove .venv and outputs
	rm -rf $(VENV) outputs

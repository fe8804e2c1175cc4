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

.PHONY: help install check lint format types imports spelling docs test test-fast test-latest test-lowest demo bench gl clean

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

check: lint format types imports spelling  ## lint, format, types, imports between rooms, spelling

lint: $(STAMP)
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format --check .

types: export MYPYPATH := $(VENV)/types
types: $(STAMP)
	$(BIN)/mypy -p mvr_wrappers -p mvr_agents -p tests -p tools -p benchmarks -p examples

imports: $(STAMP)
	@$(BIN)/lint-imports --cache-dir $(VENV)/cache/imports

spelling: $(STAMP)
	$(BIN)/typos

docs: $(STAMP)  ## the documentation, as pages in .venv/docs/html; warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d $(VENV)/docs/doctrees docs $(VENV)/docs/html
	@echo "open $(VENV)/docs/html/index.html"

# One thread a process, and a process a core: the networks of the tests are too small for more threads to pay.
test test-fast: export OMP_NUM_THREADS := 1
PYTEST := $(BIN)/python -m pytest -o cache_dir=$(VENV)/cache/pytest --numprocesses 2

test: export COVERAGE_FILE := $(VENV)/cache/coverage
test: gl  ## all tests, those that load JAX in processes of their own; prints how much of the code they run
	$(PYTEST) --jax --cov --cov-report=
	$(PYTEST) --cov --cov-append --cov-report=term:skip-covered

test-fast: gl  ## without the tests marked slow
	$(PYTEST) --jax -m "not slow"
	$(PYTEST) -m "not slow"

# The fast tests with two more sets of packages, each in a venv of its own. Both keep the pinned torch, because any other
# would fetch gigabytes of CUDA libraries where a CPU build of that one alone is at hand; TORCH=torch takes the newest.
TORCH ?= $(shell grep '^torch==' constraints.txt)
LATEST := $(VENV)/latest
LOWEST := $(VENV)/lowest
OTHER_INSTALL = $(@D)/bin/python -m pip install --quiet
OTHER_EDITABLE = --no-build-isolation --config-settings=--global-option="egg_info --egg-base=$(@D)" --editable

# Meta-World says that it needs mujoco 3.3.0, but runs with any newer one: hence without its dependencies, of which the
# other packages bring all but the two named beside it.
$(LATEST)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv --clear $(@D)
	$(OTHER_INSTALL) setuptools '$(TORCH)'
	$(OTHER_INSTALL) '$(TORCH)' 'mujoco>=4' imageio scipy $(OTHER_EDITABLE) '.[humanoid-bench,train,transformers,tests]'
	$(OTHER_INSTALL) --no-deps metaworld
	@touch $@

$(LOWEST)/.installed: pyproject.toml setup.py tools/lowest.py
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python tools/lowest.py --except torch > $(@D)/constraints.txt
	$(OTHER_INSTALL) setuptools '$(TORCH)'
	$(OTHER_INSTALL) --constraint $(@D)/constraints.txt '$(TORCH)' $(OTHER_EDITABLE) '.[all,tests]'
	@touch $@

test-latest test-lowest: export OMP_NUM_THREADS := 1
# Old packages use what newer ones below them call deprecated: that is no fault of ours, nor of the bounds.
test-lowest: OTHER_WARNINGS := -W default::DeprecationWarning -W default::FutureWarning
OTHER_PYTEST = $(VENV)/$*/bin/python -m pytest -o cache_dir=$(VENV)/cache/pytest --numprocesses 2 $(OTHER_WARNINGS)
test-latest test-lowest: test-%: $(VENV)/%/.installed
	@$(VENV)/$*/bin/python -m pip list --format freeze | grep -iE '^(gymnasium|jax|metaworld|mujoco|numpy|torch|triton)=='
	$(OTHER_PYTEST) --jax -m "not slow"
	$(OTHER_PYTEST) -m "not slow"

test-latest:  ## the fast tests with mujoco 4 and the newest of everything else
test-lowest:  ## the fast tests with the lowest versions that pyproject.toml promises

demo: gl  ## train window-close-v3 from its shaped reward, in about three minutes
	$(BIN)/mvr train window-close-v3 --preset demo --seed 0

# Those that take hours, or need a clone of HumanoidBench, are started by hand.
BENCHMARKS := costs filming intervals overhead relabel_speed relevance_options scorer tqc

bench: gl  ## print the tables of the benchmarks that take minutes
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:  ## remove .venv and outputs
	rm -rf $(VENV) outputs

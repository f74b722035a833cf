# make demo   the main job on an embedded data set: make it, search, train, test, compare (under 10 minutes on 2 cores)
# make test   lint, types and tests
# make quick  the same without the slow tests: under three minutes
# make docs   the documentation as a site, in build/site (installs the extra `docs`)
#
# All install what they need: into the active virtual environment, or into .venv, which they make if none is active.
# They install nothing into an environment with classic OpenMMLab distributions: there mmdas is added by hand, see README.
# PYTHON is the interpreter that .venv is made with: make demo PYTHON=python3.12

PYTHON ?= python3

ifeq ($(strip $(VIRTUAL_ENV)),)
ENV := .venv
else
ENV := $(VIRTUAL_ENV)
endif
RUN := $(ENV)/bin/python
# In the environment, so that a new environment is an installation that is still to be made.
STAMP := $(ENV)/.mmdas-installed
# Exit code of `check_env.py --before-install` for an environment that works as it is and that pip would overwrite.
KEEP := 3
# A file of tests stays in one process, which shares what its tests need, in the order of tests/conftest.py. A process
# takes up to 3 GB.
TESTS := OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick lint docs install clean

demo: $(STAMP)
	$(RUN) tools/demo.py

test: lint
	$(TESTS)

quick: lint
	$(TESTS) -m 'not slow'

lint: $(STAMP)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

# Warnings are errors: a link that leads nowhere, a page or a public name that is not in the contents.
docs: $(STAMP)
	$(RUN) -c 'import sphinx, furo, myst_parser' 2>/dev/null || $(RUN) -m pip install -e '.[docs]'
	$(RUN) -W ignore -m sphinx -W --keep-going -q -c docs . build/site
	@echo build/site/index.html

install: $(STAMP)

$(STAMP): setup.py pyproject.toml | $(RUN)
	@$(RUN) tools/check_env.py --before-install; case $$? in \
	0) set -x; $(RUN) -m pip install -e '.[tests]' && touch $@ ;; \
	$(KEEP)) ;; \
	*) exit 1 ;; \
	esac

# Never a prerequisite that is out of date: the active environment's interpreter is there, .venv's is made once.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mmdas needs Python 3.10 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# What a build or a test leaves; not .venv, runs (work_dirs) and data. mmdas/.mim belongs to the installation.
clean:
	rm -rf build dist .pytest_cache .ruff_cache
	find mmdas tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +

# `make help` lists what there is. Everything runs in .venv, which is made on demand.
PYTHON ?= python3
PIP_FLAGS ?=
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export IPYTHONDIR := $(CURDIR)/.jupyter/ipython
export FRESH := $(CURDIR)/.venv/fresh
export BINDER := $(CURDIR)/.venv/binder
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=120
BUILD_BOOK := jupyter-book build . -n -W --keep-going -q >/dev/null
BUILD_LATEX := jupyter-book build . --builder latex --path-output _build/paper -n -W --keep-going -q >/dev/null
TYPESET := max_print_line=1000 latexmk -xelatex -silent -interaction=nonstopmode -halt-on-error
LATEX := _build/paper/_build/latex
PDF := policy_gradients_executed.pdf

.DEFAULT_GOAL := help
.PHONY: help book test lint unit mutants notebooks canaries site editions pdf lab serve references speed bench cluster clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1~/p' Makefile | column -t -s '~'

book: .venv/installed  ## execute every chapter and build the HTML
	@start=$$(date +%s); \
	python book/_ext/execute.py && \
	{ $(BUILD_BOOK) || { rm -rf _build/html _build/.doctrees; exit 1; }; } && \
	echo "Built in $$(( $$(date +%s) - start )) s. Open $(CURDIR)/_build/html/index.html"

pdf: .venv/installed  ## execute every chapter and make one PDF of the book
	@for tool in xelatex latexmk makeindex rsvg-convert; do command -v $$tool >/dev/null || { echo "Missing: $$tool. Install TeX Live (Debian, Ubuntu: apt install $$(cat .ci/paper))."; exit 1; }; done
	@start=$$(date +%s); \
	python book/_ext/execute.py && \
	{ $(BUILD_LATEX) || { rm -rf _build/paper; exit 1; }; } && \
	cd $(LATEX) && \
	{ $(TYPESET) $(PDF:pdf=tex) >latexmk.log 2>&1 || { grep -A4 '^!' $(PDF:pdf=log); exit 1; }; } && \
	cp $(PDF) $(CURDIR)/_build/ && \
	pages=$$(sed -n 's/^Output written on .*(\([0-9]*\) pages.*/\1/p' $(PDF:pdf=log)) && \
	echo "Typeset $$pages pages in $$(( $$(date +%s) - start )) s. Open $(CURDIR)/_build/$(PDF)"

test: .venv/installed  ## all gates that follow, with one closing line each
	@for gate in lint unit mutants notebooks canaries site; do \
		start=$$(date +%s); \
		$(MAKE) --no-print-directory $$gate || { echo "$$gate: FAILED"; exit 1; }; \
		echo "$$gate: passed in $$(( $$(date +%s) - start )) s"; \
	done

lint: .venv/installed  ## gate: ruff over package, tests and extensions
	@ruff check -q . && ruff format -q --check .

unit: .venv/installed  ## gate: tests of the package and of the sources
	@python -m pytest tests $(addprefix --ignore=tests/,test_mutants.py notebooks canaries site editions) -n 2

mutants: .venv/installed  ## gate: wrong versions of each estimator, which the tests must reject
	@python -m pytest tests/test_mutants.py -n 2 --dist worksteal

notebooks: .venv/installed  ## gate: every notebook through strict nbval
	@python -m pytest $(NBVAL) tests/notebooks -n 2 --dist loadfile

canaries: .venv/installed  ## gate: proofs that each gate can fail
	@python -m pytest tests/canaries -n 2

site: .venv/installed  ## gate: build from nothing, then check every page in a browser
	@rm -rf _build
	@$(MAKE) --no-print-directory book
	@python -m pytest tests/site -n 3

editions: book pdf $(FRESH)/installed $(BINDER)/installed  ## gate: the book on paper, and as notebooks after the documented install and on Binder
	@python -m pytest tests/editions -n 2 --durations=0 --durations-min=1

references: .venv/installed  ## rewrite the reference outputs (NAMES="a b": only these)
	@python tests/notebooks/references.py $(NAMES)
	@git --no-pager diff --stat -- tests/notebooks/references

lab: .venv/installed  ## JupyterLab; a double click opens a chapter as a notebook
	JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter" jupyter lab --notebook-dir="$(CURDIR)" $(LAB_FLAGS)

serve: book  ## the built book at http://127.0.0.1:8000
	@python -m http.server --bind 127.0.0.1 --directory _build/html 8000

speed:  ## how the built pages arrive on a slow phone, and Lighthouse's scores
	@PYTHONPATH=tests python tests/site/phone.py
	@PYTHONPATH=tests python tests/site/lighthouse.py

bench: .venv/peers/installed  ## the package beside its peers, in one run (some minutes)
	@.venv/peers/bin/python benchmarks/gae.py
	@.venv/peers/bin/python benchmarks/a2c.py
	@.venv/peers/bin/python benchmarks/ppo.py
	@.venv/peers/bin/python benchmarks/scaling.py

cluster: .venv/peers/installed  ## the seeds of an experiment on two workers of a Dask cluster
	@.venv/peers/bin/python -m pytest benchmarks/test_cluster.py

clean:  ## remove everything that was built, and the environment
	rm -rf _build .venv node_modules pgbook.egg-info

.venv/installed: requirements.txt pyproject.toml package-lock.json
	@command -v $(PYTHON) >/dev/null || { echo "Missing: Python 3.11 or newer. Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python), or name it: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Missing: Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Missing: Python's venv. Install it (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	@echo "Installing into .venv (2 GB, some minutes; once)"
	@$(PYTHON) -m venv .venv
	@python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -r requirements.txt
	@python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@npm ci --silent --no-audit --no-fund
	@touch $@

.venv/peers/installed: .venv/installed benchmarks/requirements.txt
	@echo "Installing the peers into .venv/peers (once)"
	@$(PYTHON) -m venv .venv/peers
	@.venv/peers/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -r benchmarks/requirements.txt
	@.venv/peers/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(FRESH)/installed: .venv/installed
	@echo "Installing what the README tells readers of one notebook (once)"
	@$(PYTHON) -m venv --clear $(FRESH)
	@$(FRESH)/bin/pip install -e ".[book]" jupyterlab -c requirements.txt -q $(PIP_FLAGS)
	@touch $@

# Where the index of PyTorch is out of reach, the build of PyPI serves as well.
$(BINDER)/installed: .venv/installed binder/requirements.txt binder/postBuild
	@echo "Installing what Binder installs (once)"
	@$(PYTHON) -m venv --clear $(BINDER)
	@$(BINDER)/bin/pip install -r binder/requirements.txt -q --retries 0 $(PIP_FLAGS)
	@PATH="$(BINDER)/bin:$(PATH)" NB_PYTHON_PREFIX="$(BINDER)" binder/postBuild
	@touch $@

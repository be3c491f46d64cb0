# make demo    a day at sea on this machine, up until Ctrl-C   (ARGS="--once --report report.json", ARGS=--pcsc, ...)
# make test    every test (ARGS="-k ledger" for some of them)
# make soak    many more simulated voyages with faults (SEEDS=1000; SEEDS=1 FROM=4711 replays one)
# make lint    ruff, mypy strict on both sides, import rules
# make bench   the README's figures, measured here
# make starter  the model that ships, trained anew (VERSION=starter-1)
# Each sets up .venv first: see tools/setup.sh for what it installs.
.PHONY: help demo test soak lint bench starter setup setup-tests clean
PY := .venv/bin/python
ARGS :=

help:
	@sed -n 's/^# //p' Makefile

setup:
	@sh tools/setup.sh

setup-tests:
	@sh tools/setup.sh --tests

demo: setup
	@$(PY) -m voyage demo $(ARGS)

test: setup-tests
	@$(PY) -m compileall -q gateway firmware models tools  # once, and not by each of the processes that tests start
	@$(PY) tools/test_markers.py $(if $(CI),--required) > .venv/.markers
	$(PY) -m pytest -n 2 --dist loadgroup -m "$$(cat .venv/.markers)" $(ARGS)

lint: setup .venv/mpy-stubs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --config-file firmware/device/mypy.ini
	.venv/bin/lint-imports

.venv/mpy-stubs: constraints.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --upgrade --target $@ \
	  $$(grep -E '^micropython-(esp32|stdlib)-stubs==' constraints.txt)
	@touch $@

soak: setup
	@$(PY) -m tests.sim --seeds $(or $(SEEDS),1000) $(if $(FROM),--first $(FROM))

bench: setup
	@PYTHONPATH=tools $(PY) -m bench $(ARGS)

starter: setup-tests
	@nice -n 10 $(PY) tools/make_starter.py --work .venv/starter --version $(VERSION)

clean:
	rm -rf .venv .venv-tflite .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# `make quickstart` shows what this is; `make test` runs everything. Both set up what they need.
.PHONY: help setup site quickstart test check lint types unit docs interop editors compiled catalogue statistics bench kills offswitch soak fuzz format clean detection-times rehearsals
.DEFAULT_GOAL := help
# Compiled modules make every command start three times as fast.
unexport PYTHONDONTWRITEBYTECODE

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup:  ## .venv with the project and its tools
	@scripts/setup

quickstart: setup  ## the main job on local processes: fault, alert, undo, verdict (about two minutes)
	@scripts/quickstart

test: setup lint types  ## everything: linter, types, all tests; starts a container engine if none runs
	@scripts/browser
	@scripts/with-engine scripts/all-tests

unit: setup  ## the tests that need neither lab, container engine nor browser (about a minute)
	@.venv/bin/pytest -m "not system and not docker and not browser"

check: lint types unit  ## what to run before a commit

lint: setup
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@said=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }

types: setup
	@.venv/bin/mypy

docs: setup  ## the pages that are made of the code: docs/faults.md, commands.md, probes.md, protocols.md
	@.venv/bin/python -m chaos.app.fault_page docs/faults.md
	@.venv/bin/python -m chaos.app.reference_pages docs

site: setup  ## the docs site, into .chaos/site/html; a link that leads nowhere is an error
	@scripts/site

compiled: setup  ## the data plane compiled (.chaos/compiled; needs gcc), and the tests of proxy, protocols and drivers on it
	@scripts/compile
	@PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/.chaos/compiled:$(CURDIR) .venv/bin/pytest -q -o pythonpath= -m "not system and not docker" \
	  --numprocesses 2 --dist loadfile tests/proxy tests/protocols tests/drivers

fuzz: setup  ## every test that Hypothesis makes examples for, with 300 times as many as in the tests (hours; CHAOS_FUZZ=10 takes minutes)
	@CHAOS_FUZZ=$${CHAOS_FUZZ:-300} .venv/bin/pytest -q --timeout=0 --hypothesis-show-statistics -m hypothesis

editors: setup  ## completion, hover and marks of the real yaml-language-server (installs it from npm first: a minute)
	@scripts/editors $(ARGS)

interop: setup  ## the proxy between real servers and real clients, into docs/interop.md (installs them first: some minutes)
	@.venv/bin/pytest tests/interop -m interop --quiet --no-header -rfE $(ARGS)

catalogue: setup  ## every fault's experiment in the lab, into docs/coverage.md; goes on where it was (hours; ARGS="--only delay kill", ARGS=--docker)
	@.venv/bin/python -m benchmarks.catalogue $(ARGS)

rehearsals: setup  ## what `chaos rehearse` predicts against live runs in the lab, into docs/rehearsal.md; goes on where it was (hours; ARGS="--only delay kill")
	@.venv/bin/python -m benchmarks.rehearsal live $(ARGS)

bench: setup  ## what the proxy costs next to nginx, Envoy and others, into docs/benchmarks.md, and `make offswitch` (an hour, a quiet machine; ARGS=--quick: 8 minutes)
	@.venv/bin/python -m benchmarks.proxy --publish $(ARGS)
	@$(if $(filter-out --quick,$(ARGS)),true,scripts/with-engine .venv/bin/python -m benchmarks.offswitch --docker --publish $(ARGS))

statistics: setup  ## how often comparisons of the arms err, and how soon they tell, simulated into docs/detection.md (two minutes)
	@.venv/bin/python -m benchmarks.statistics $(ARGS)

kills: setup  ## who dies at every step of a run, with every kind of effect on: is anything left? into docs/kills.md (an hour and a half; ARGS=--sample: minutes)
	@scripts/with-engine .venv/bin/python -m benchmarks.kills $(ARGS)

offswitch: setup  ## from a guard's breach, `chaos stop` and Ctrl-C to the last undo, into docs/offswitch.md (25 minutes, a quiet machine; ARGS=--quick: 3)
	@scripts/with-engine .venv/bin/python -m benchmarks.offswitch --docker --publish $(ARGS)

detection-times: setup  ## are the measured times of detection true? into docs/detection-times.md (three minutes, a quiet machine)
	@.venv/bin/python -m benchmarks.detection $(ARGS)

soak: setup  ## mixed traffic through one proxy: does it leak or err? (ten minutes; ARGS="--minutes 60")
	@.venv/bin/python -m benchmarks.soak $(ARGS)

format: setup  ## ruff's formatter and its safe fixes
	@.venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet --fix .

clean:  ## everything that is not in git, runs included
	@-for lab in .chaos/labs/*/; do [ ! -d "$$lab" ] || .venv/bin/chaos lab down --name "$$(basename "$$lab")"; done
	rm -rf .venv .chaos runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

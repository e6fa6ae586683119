# Works with GNU make and Python >= 3.11 alone; everything else is put into .venv, once, when pyproject.toml or the pins change.
PYTHON ?= python3
JOBS ?= auto
VENV := .venv
BIN := $(VENV)/bin
LLM_HOME := .diary-llm
LLM := qwen2.5-coder-1.5b

.DEFAULT_GOAL := help
.PHONY: help setup models manifest demo demo-llm dev test test-full test-trials test-llm-local lint bench bench-transcription bench-calibration bench-notes bench-catalogue constraints env-example catalogue-docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/dev.stamp manifest ## Install everything that development and tests need into .venv

models: $(VENV)/base.stamp ## Fetch the Whisper weights of the demo and the tests, once a machine (220 MB)
	$(BIN)/diary models get base
	$(BIN)/diary models get tiny.en

manifest: $(VENV)/base.stamp ## Read the dbt project once for whoever loads the code location (10 s; again when it changes)
	@$(BIN)/python -m diary_pipeline.catalogue.dbt_notes.manifest

demo: $(VENV)/base.stamp manifest ## Real recordings to dated notes: install, fetch the model, transcribe, write, query
	@$(BIN)/python -m diary_pipeline_tests.recordings.lay_out "$${DIARY_HOME:-.diary}/drop"
	@$(BIN)/diary demo "$${DIARY_HOME:-.diary}/drop"

demo-llm: $(VENV)/base.stamp manifest ## The same with notes by a real small language model served here, into .diary-llm (1.1 GB once)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[openai,local-llm]'
	@$(BIN)/python -m diary_pipeline_tests.recordings.lay_out "$(LLM_HOME)/drop"
	@DIARY_HOME="$(LLM_HOME)" $(BIN)/diary demo "$(LLM_HOME)/drop" --llm "$(LLM)"

dev: $(VENV)/base.stamp manifest ## Serve Dagster's UI and daemon on http://127.0.0.1:3000, state below .diary
	$(BIN)/diary dev

test: $(VENV)/dev.stamp models manifest ## Run the tests that take seconds each
	$(BIN)/pytest -n $(JOBS) -m "not slow and not stack and not trial and not llm_local" $(PYTEST_ARGS)

test-full: $(VENV)/dev.stamp models manifest ## Run the rest: long speech, and the whole stack as processes
	$(BIN)/pytest -n $(JOBS) --dist loadfile -m "slow and not stack and not trial and not llm_local" $(PYTEST_ARGS)
	$(BIN)/pytest -m "stack and not trial" $(PYTEST_ARGS)

test-trials: $(VENV)/dev.stamp models manifest ## Kill daemons, workers and queues, thousands of keys: many minutes, on a machine that does nothing else
	$(BIN)/pytest -m trial $(PYTEST_ARGS)

test-llm-local: $(VENV)/dev.stamp ## Ask a real small language model in a real server (93 MB of weights, 34 MB of llama.cpp)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,llm,local-llm]'
	-$(BIN)/diary llm get smollm2-135m
	$(BIN)/pytest -m llm_local $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp ## Style, types, layers and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -m "not slow" diary_pipeline_tests/house

bench: $(VENV)/dev.stamp models ## Measure against what a user would use instead
	$(BIN)/python -m benchmarks

bench-transcription: $(VENV)/dev.stamp models ## Measure words right and speed of transcription against faster-whisper itself
	$(BIN)/python -m benchmarks.transcription $(BENCH_ARGS)

bench-calibration: $(VENV)/dev.stamp models ## Plant faults into good speech: what risk signals catch, what repair gains
	$(BIN)/python -m benchmarks calibration

bench-notes: $(VENV)/dev.stamp ## Measure what a note costs in CPU time beside a bare loop over the SDK
	$(BIN)/python -m benchmarks notes

bench-catalogue: $(VENV)/dev.stamp ## Measure commits a second beside plain DuckDB and Parquet, and kill whoever commits and publishes
	$(BIN)/python -m benchmarks catalogue_commits catalogue_kills

constraints: ## Resolve all dependencies anew and write constraints.txt
	rm -rf $(VENV)-pins
	$(PYTHON) -m venv $(VENV)-pins
	$(VENV)-pins/bin/pip install --quiet '.[dev,postgres,gcp,k8s,redis,llm,local-llm]'
	sed -n '/^#/p' constraints.txt > $(VENV)-pins/constraints.txt
	$(VENV)-pins/bin/pip freeze | grep -v -i -E '^(diary[-_]pipeline|torch|nvidia-|triton)' >> $(VENV)-pins/constraints.txt
	mv $(VENV)-pins/constraints.txt constraints.txt
	rm -rf $(VENV)-pins

env-example: $(VENV)/base.stamp ## Write .env.example and docs/configuration.md from the settings
	$(BIN)/python -m diary_pipeline.settings_pages

catalogue-docs: $(VENV)/base.stamp ## Write docs/catalogue.md from the catalogue's schema
	$(BIN)/python -m diary_pipeline.catalogue.schema_page

clean: ## Remove what make and the tools built; recordings and notes below .diary stay
	rm -rf $(VENV) $(VENV)-pins build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(VENV)/base.stamp $@

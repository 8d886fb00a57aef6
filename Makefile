# `make` alone prints the targets. Everything below works in .venv, which `setup` makes from requirements.lock.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test test-long bench evaluate lint format lock up down deploy validate clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv from requirements.lock (installs uv first if it is missing)
	@$(PYTHON) scripts/setup.py

run: setup ## set everything up and do the main job: deploy, data, daily run, summary
	@$(BIN)/aegis run

test: setup lint ## what CI runs: linters and types, then all tests but the long ones
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m "not long"

test-long: setup ## the tests that take minutes
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m long

bench: setup ## measure the figures of the goals, on a server of its own (PARTS=connector: that part alone; PARTS=million: its million ad-days)
	@$(BIN)/python -m bench $(PARTS)

evaluate: setup ## measure detectors and rules on labelled worlds (scored seeds), beside what people use instead
	@$(BIN)/python -m evaluation --worlds 2 --days 28

lint: setup ## ruff, mypy, sqlfluff (models are rendered by dbt on an empty deployed schema)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python scripts/lint_sql.py

format: setup ## let ruff and sqlfluff put the code into shape
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@$(BIN)/python scripts/lint_sql.py --fix

lock: ## resolve pyproject.toml anew into requirements.lock
	@$(PYTHON) scripts/setup.py --lock

up: setup ## start the embedded Postgres
	@$(BIN)/aegis up

down: setup ## stop it; data stays
	@$(BIN)/aegis down

deploy: setup ## bring the database's schema to this checkout's state
	@$(BIN)/aegis deploy

validate: setup ## prove that the schema is as it should be
	@$(BIN)/aegis validate

clean: ## remove .venv and caches; never data
	@rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info dbt_project/target dbt_project/logs
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Removed .venv and caches. Data stays; only \`aegis destroy --yes\` deletes it."

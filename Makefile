.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: help setup demo test lint format types contracts tests setup-cluster setup-airflow airflow-up airflow-status airflow-down cluster-up cluster-down cluster-status test-cluster test-dags test-masters drills bench-setup bench-serving bench-score bench-loader bench-etl bench-increment bench-discovery bench-discovery-all bench-cluster bench-start bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## system packages, uv, the locked environment, the jars (done once)
	@tools/setup

setup-cluster: setup ## the servers of the cluster profile: MariaDB, Hadoop, Kafka, S3 … (done once)
	@tools/setup-cluster

setup-airflow: setup ## Airflow, in an environment of its own (done once)
	@tools/setup-airflow

airflow-up: setup-airflow ## plan the DAGs, start Airflow on this machine, supervised: pages, scheduler, DAG processor
	@$(BIN)/maas airflow up

airflow-status: ## what they do, and the memory they hold
	@$(BIN)/maas airflow status

airflow-down: ## end them; database and logs stay in var/airflow
	@$(BIN)/maas airflow down

cluster-up: setup-cluster ## start HDFS, YARN, MariaDB, MongoDB, S3 and Kafka on this machine, supervised
	@$(BIN)/maas cluster up

cluster-status: ## what they do, and the memory they hold
	@$(BIN)/maas cluster status

cluster-down: ## end them; their data stays in var/cluster
	@$(BIN)/maas cluster down

demo: setup ## the main job on real data: raw sources → Delta → training → registry → REST and batch scores
	@$(BIN)/python -m jobs.demo

test: lint types contracts tests ## all that CI runs

lint: setup ## formatting and lint, as the pre-commit hooks run them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: setup ## format, and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup ## mypy, strict
	@$(BIN)/mypy

contracts: setup ## which package may import which
	@$(BIN)/lint-imports

tests: setup-cluster setup-airflow ## pytest, in two processes (ARGS="-k …" for some)
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

test-cluster: setup-cluster ## the tests that need the cluster; they start one of their own
	@$(BIN)/pytest -m "cluster and not drills and not masters" $(ARGS)

test-dags: setup-airflow ## Airflow reads and runs our DAGs
	@$(BIN)/pytest -m dags $(ARGS)

test-masters: setup-cluster ## every step by spark-submit on YARN and on Spark's own cluster, rows compared
	@$(BIN)/pytest -m masters $(ARGS)

drills: setup-cluster ## each fault in each step of the pipeline, each service down (an hour or two; goes on where it was broken off)
	@MAAS_KEPT_HOME=var/drills MAAS_DRILLS_RESULTS=var/drills/results.jsonl $(BIN)/pytest tests/drills -m drills $(ARGS)
	@$(BIN)/python tests/drills/table.py var/drills/results.jsonl docs/drills.md

bench: bench-start bench-etl bench-increment bench-discovery bench-discovery-all bench-loader bench-score bench-serving bench-cluster ## all benchmarks

bench-setup: setup ## the peers' own environments, for bench-serving and bench-discovery
	@$(BIN)/python -m benchmarks.peers

bench-serving: bench-setup ## one-row REST answers: ours, MLflow, MLServer, FastAPI, the floor
	@$(BIN)/python -m benchmarks.bench_serving

bench-score: setup ## batch scoring: ours, spark_udf, identity
	@$(BIN)/python -m benchmarks.bench_score

bench-loader: setup ## training input: ours, petastorm's loader
	@$(BIN)/python -m benchmarks.bench_loader

bench-start: setup ## a new process until Spark's first commit: with recorded classes, without
	@$(BIN)/python -m benchmarks.bench_start $(ARGS)

bench-etl: setup ## the rule engine, hand-written Spark SQL, a Python function
	@$(BIN)/python -m benchmarks.bench_etl $(ARGS)

bench-increment: setup ## an increment with sixteen times the history
	@$(BIN)/python -m benchmarks.bench_increment $(ARGS)

LOGHUB ?= ../shared/data/loghub
bench-discovery: bench-setup ## log templates: ours, Drain3, Brain on labelled logs (LOGHUB=folder)
	@$(BIN)/python -m benchmarks.bench_discovery $(LOGHUB)

bench-discovery-all: setup ## rules for a million lines, in one command
	@$(BIN)/python -m benchmarks.bench_discovery_all $(ARGS)

bench-cluster: setup-cluster ## the cluster profile against the local one: growth, executors, start-up times
	@$(BIN)/python -m benchmarks.bench_cluster $(ARGS)

clean: ## remove what runs wrote (the environment and the jars stay)
	rm -rf var spark-warehouse .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

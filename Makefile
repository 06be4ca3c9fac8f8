# Everything that is done to this repository, one word each. CI runs `.ci/run`, which runs these.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Seconds per fuzz target of `make fuzz` and `make soak`.
SECONDS ?= 60
# Crashes of `make soak-crash` and `make soak-power`; a SEED that they have printed repeats their choices.
SEED ?=
# Scenario of `make bench`; all of them if it is empty.
ONLY ?=
# Further arguments of `make run`, `make bench` and `make doctor`.
ARGS ?=

.PHONY: help
help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: # What a build needs on a fresh machine; silent if it is all there
	@.ci/setup

.PHONY: run
run: setup ## Builds and starts the broker with its default configuration; ARGS="--data DIR ..."
	cargo build --release --package ringmail
	./target/release/ringmail serve $(ARGS)

.PHONY: test
test: OPS ?= 10000000
test: setup ## Runs all tests, and the simulator for OPS=10000000 operations
	@.ci/kafka-clients
	cargo test --workspace
	cargo run --quiet --profile simulator --package ringmail-simulator -- --ops $(OPS)
	@$(MAKE) --no-print-directory canaries OPS=2000000

.PHONY: lint
lint: setup ## Checks format, lints, scripts and the repository's own rules (tests/tidy.rs)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	@.ci/shellcheck
	cargo test --quiet --package ringmail --test tidy

.PHONY: fmt
fmt: setup ## Formats all Rust sources
	cargo fmt --all

.PHONY: bench
bench: setup ## Measures the broker against the machine's own limits; ONLY=SCENARIO for one
	cargo build --release --package ringmail --package ringmail-bench
	./target/release/ringmail-bench run $(ONLY) $(ARGS)

.PHONY: fuzz
fuzz: setup ## Fuzzes parsers, recovery and sessions; SECONDS=60 for each target
	@.ci/fuzz $(SECONDS)

.PHONY: soak
soak: setup ## Runs all tests with the long ones, and with far more cases; SECONDS=60 for each parser
	PROPTEST_CASES=20000 SEEDS=500 RINGMAIL_FUZZ_SECONDS=$(SECONDS) cargo test --release --workspace -- --include-ignored

.PHONY: soak-simulator
soak-simulator: OPS ?= 1000000000
soak-simulator: setup ## Simulates engine and node on disks that fail; OPS=1000000000 SEED=random ARGS="--world engine"
	cargo run --quiet --profile simulator --package ringmail-simulator -- --ops $(OPS) --seed $(or $(SEED),random) $(ARGS)

.PHONY: canaries
canaries: OPS ?= 2000000
canaries: setup ## Builds deliberate bugs in and has the simulator catch each within OPS=2000000 operations
	RUSTFLAGS='--cfg ringmail_canaries' cargo build --quiet --profile canaries --package ringmail-simulator --target-dir target/canaries
	./target/canaries/canaries/ringmail-simulator --canaries --ops $(OPS) --seed $(or $(SEED),1)

.PHONY: soak-damage
soak-damage: FLIPS ?= 10000000
soak-damage: REORDERINGS ?= 100000
soak-damage: setup ## Damages stored logs; FLIPS=10000000 REORDERINGS=100000 (losses of power), SEED=
	FLIPS=$(FLIPS) REORDERINGS=$(REORDERINGS) SEED=$(SEED) \
		cargo test --quiet --release --package ringmail-shards --test damage -- --nocapture --test-threads=2
	@echo "$(FLIPS) flips, $(REORDERINGS) losses of power: 0 wrong records, 0 lost in silence, 0 written over"

.PHONY: soak-crash
soak-crash: N ?= 1000
soak-crash: setup ## Kills the broker under load; N=1000 times, SEED=
	LOOPS=$(N) SEED=$(SEED) cargo test --quiet --release --package ringmail --test crash

.PHONY: soak-power
soak-power: N ?= 500
soak-power: setup ## Cuts the power of the broker's disk under load; N=500 times, SEED=; needs root
	LOOPS=$(N) SEED=$(SEED) cargo test --quiet --release --package ringmail --test power

.PHONY: soak-exactly-once
soak-exactly-once: N ?= 50
soak-exactly-once: setup ## Kills workers in their transactions, and then the broker below them; N=50 times each
	@.ci/kafka-clients
	KILLS=$(N) cargo test --quiet --release --package ringmail --test kafka_clients -- --nocapture --test-threads=1 exactly_once

.PHONY: soak-churn
soak-churn: MINUTES ?= 5
soak-churn: setup ## Has clients and topics come and go, and holds memory and descriptors level; MINUTES=5
	MINUTES=$(MINUTES) cargo test --quiet --release --package ringmail --test peers -- --ignored --nocapture soak_churn

.PHONY: models
models: setup ## Explores what threads share in all orders of their steps
	cargo test --package ringmail-models

.PHONY: doctor
doctor: setup ## Says what on this machine is good for the broker, what is not, and what to do
	cargo build --release --package ringmail
	./target/release/ringmail doctor $(ARGS)

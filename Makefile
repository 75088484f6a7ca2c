# One line of help each; `make` lists them. Needs: rustup's toolchain, a C compiler, for CDK Node 20+.
CARGO ?= cargo
ARGS  ?=
SEEDS ?= 1000000
START ?= $(shell git rev-parse HEAD 2>/dev/null)

.PHONY: help run test check fmt-check lint deny sim bench cdk synth setup

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## check what must be installed, and say what is missing
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing; install it with rustup (https://rustup.rs)"; exit 1; }
	@command -v cc >/dev/null || { echo "make: a C compiler is missing (Debian: apt install build-essential)"; exit 1; }

run: setup ## the whole path on this machine: make run ARGS="--for 60s"
	$(CARGO) run --locked --quiet -p ivs-processor -- local $(ARGS)

test: setup ## every test of the workspace, the simulator's 22,000 seeds included
	SIM_START=$(START) $(CARGO) test --locked --workspace

check: fmt-check lint deny test cdk ## what CI runs

fmt-check: ## formatting
	$(CARGO) fmt --all -- --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

deny: ## licences, advisories, bans; installs cargo-deny when it is missing
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --quiet cargo-deny
	$(CARGO) deny --locked check bans licenses sources

sim: setup ## more seeds, a tenth as many of the fleet: make sim SEEDS=10000000 START=anything
	SIM_SEEDS=$(SEEDS) SIM_START=$(START) $(CARGO) test --locked -p ivs-tests --test sim -- every_seed --nocapture

bench: setup ## speed of the core, next to serde_json in the same run
	$(CARGO) bench --locked -p ivs-core

cdk: ## types, tests and rules of the CDK app
	cd infra/cdk && npm ci --no-audit --no-fund && npm run build && npm test

synth: ## the CloudFormation template; no network after npm ci, no docker, no credentials
	cd infra/cdk && npm ci --no-audit --no-fund && npm run synth

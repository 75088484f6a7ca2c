# One line of help each; `make` lists them. Needs: rustup's toolchain, a C compiler, for CDK Node 20+.
CARGO ?= cargo
ARGS  ?=
SEEDS ?= 1000000
START ?= $(shell git rev-parse HEAD 2>/dev/null)
RECORDS ?= 1000000
ROUNDS ?= 3
THREADS ?= 2
# `dev` measures nothing of worth, and needs no second build where tests were built: for CI.
PROFILE ?= release
PEERS := target/peers
# Of the image: glibc's keeps what was freed in pieces, and its peak memory says little.
ALLOCATOR ?= --features jemalloc
# The whole workspace in `dev`, as tests build it: one crate alone would be another tree.
BUILD = $(CARGO) build --locked --profile $(PROFILE) $(if $(filter dev,$(PROFILE)),--workspace --bin ivs-processor,-p ivs-processor $(ALLOCATOR))
BENCH = $(CARGO) bench --locked --profile $(PROFILE) $(if $(filter dev,$(PROFILE)),--workspace,-p ivs-core)
BUILT := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/ivs-processor
export BENCH_FIGURES := $(CURDIR)/target/bench-figures.jsonl

.PHONY: help run test page check fmt-check lint doc spelling deny sbom sim bench bench-core bench-peers bench-online bench-growth bench-hot bench-hostile bench-memory soak fuzz mutants mutants-all independent web cdk deploy-test synth setup onprem

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## check what must be installed, and say what is missing
	@command -v $(CARGO) >/dev/null || { echo "make: cargo is missing; install it with rustup (https://rustup.rs)"; exit 1; }
	@command -v cc >/dev/null || { echo "make: a C compiler is missing (Debian: apt install build-essential)"; exit 1; }

run: setup ## the whole path on this machine: make run ARGS="--for 60s"
	$(CARGO) run --locked -p ivs-processor -- local $(ARGS)

test: setup ## every test of the workspace, the simulators' 24,000 seeds included
	SIM_START=$(START) $(CARGO) test --locked --workspace

PLAYERS = target/players
page: setup ## pages in headless Chromium, which must be there (Debian: apt install chromium); needs Node
	@test -d $(PLAYERS)/node_modules/hls.js || \
	  npm install --no-audit --no-fund --silent --prefix $(PLAYERS) hls.js@1.7.4
	$(CARGO) test --locked --workspace --test page

check: fmt-check lint deny doc spelling test independent page web cdk deploy-test onprem ## what CI runs

fmt-check: ## formatting
	$(CARGO) fmt --all -- --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy --locked --workspace --all-targets --test page --test independent -- -D warnings

doc: setup ## the documentation of every crate, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --workspace

SPELLING = target/spelling
spelling: ## spelling of code and documents; needs Python 3 with venv
	@test -x $(SPELLING)/bin/typos || { python3 -m venv $(SPELLING) && $(SPELLING)/bin/pip install --quiet typos==1.52.0; }
	$(SPELLING)/bin/typos

# Tools that Cargo builds, in the versions that CI has; without optimization they are there sooner.
TOOLS = target/tools
CARGO_DENY = $(TOOLS)/cargo-deny-0.20.2
CARGO_CYCLONEDX = $(TOOLS)/cargo-cyclonedx-0.5.9
$(TOOLS)/cargo-%:
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --locked --quiet --debug --root $@.new \
	  $(shell echo cargo-$* | sed -E 's/-([0-9.]+)$$/@\1/')
	mv $@.new $@

deny: $(CARGO_DENY) ## licenses, bans and sources of the crates; installs cargo-deny when it is missing
	$</bin/cargo-deny --locked check bans licenses sources

SBOM_TARGET ?= aarch64-unknown-linux-gnu
sbom: $(CARGO_CYCLONEDX) ## what the image is built from, as CycloneDX, in target/sbom (needs Python 3)
	infra/sbom.py --cargo $(CARGO) --cyclonedx $</bin/cargo-cyclonedx --target $(SBOM_TARGET) \
	  --out target/sbom/ivs-processor-$(SBOM_TARGET).cdx.json -- --no-default-features --features jemalloc

# Millions of seeds pay for a build with optimization; assertions and checks of overflow stay. Of fleet and
# shell a run of all three takes a tenth of the seeds; alone, each takes all.
NET ?= all
SEEDS_OF_all = every_seed
SEEDS_OF_model = every_seed_keeps
SEEDS_OF_fleet = every_seed_of_a_fleet
SEEDS_OF_shell = every_seed_of_the_shell
sim: setup ## more seeds, of one net or all: make sim NET=shell SEEDS=1000000 START=anything (NET=model, fleet, shell, all)
	@test -n "$(SEEDS_OF_$(NET))" || { echo "make: NET is model, fleet, shell or all"; exit 2; }
	SIM_SEEDS=$(SEEDS)$(if $(filter fleet shell,$(NET)),0) SIM_START=$(START) \
	  $(CARGO) test --locked --profile sim --workspace --test sim -- $(SEEDS_OF_$(NET)) --nocapture

FUZZ_RUNS ?= 10000000
FUZZ_TARGETS ?= $(notdir $(wildcard tests/fuzz/seeds/*))
fuzz: setup ## bytes from outside, by coverage: make fuzz FUZZ_TARGETS=rows FUZZ_RUNS=1000000; installs cargo-fuzz when it is missing
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked --quiet cargo-fuzz
	@cd tests && for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target && echo "fuzzing $$target" && \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -runs=$(FUZZ_RUNS) $(ARGS) || exit 1; done

mutants: setup ## deliberate faults, each of which its suite must catch: make mutants ARGS="--suite core"
	CARGO="$(CARGO)" tests/mutants/run.py $(ARGS)

# By .cargo/mutants.toml.
CARGO_MUTANTS = $(TOOLS)/cargo-mutants-27.1.0
mutants-all: setup $(CARGO_MUTANTS) ## faults that cargo-mutants makes in core and planner, for hours: make mutants-all SHARD=1/50
	@mkdir -p target/mutants-all
	$(CARGO_MUTANTS)/bin/cargo-mutants mutants --output target/mutants-all $(if $(SHARD),--shard $(SHARD)) $(ARGS)

bench: ## all figures of speed in one table, each next to a peer in the same run
	@mkdir -p target && rm -f $(BENCH_FIGURES)
	@$(MAKE) --no-print-directory bench-core bench-peers bench-online
	@python3 benches/table.py $(BENCH_FIGURES)

bench-core: setup ## the core: next to serde_json in the same run, its pieces, reports
	$(BENCH) --bench fold --bench report
	$(BENCH) --bench pieces -- --quick

bench-peers: setup $(PEERS)/ready ## replay, DuckDB and Polars in turn: make bench-peers RECORDS=20000000 (needs Python 3.11)
	$(BUILD)
	$(PEERS)/bin/python benches/peers/run.py --replay $(BUILT) --work $(PEERS) \
		--records $(RECORDS) --rounds $(ROUNDS) --threads $(THREADS)

bench-online: setup $(PEERS)/ready ## the worker and a plain Python consumer, each against the embedded AWS in a process of its own
	$(BUILD)
	$(PEERS)/bin/python benches/peers/online.py --program $(BUILT) --work $(PEERS) \
		--records $(RECORDS) --seconds $(SECONDS_LIVE)
bench-online: RECORDS = 2000000
SECONDS_LIVE ?= 30

bench-growth: setup $(PEERS)/ready ## replay by sessions a minute and by records: CPU and memory (some 4 GB of disk for a while)
	$(BUILD)
	$(PEERS)/bin/python benches/peers/growth.py --replay $(BUILT) --work $(PEERS)

$(PEERS)/ready: benches/peers/requirements.txt
	test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement $<
	@touch $@

# Both count and weigh, they do not time: the profile of the tests will do, and is built already.
bench-hot: setup ## one session over 16 shards and 3 workers, then 64 and 4: exact rows, few refused puts
	$(CARGO) test --locked --workspace --test hot

bench-hostile: setup ## memory and exact rows under junk, colliding ids and a session a record: make bench-hostile SESSIONS=1000000
	$(BUILD)
	python3 benches/hostile.py --program $(BUILT) --work target --sessions $(SESSIONS)
SESSIONS ?= 100000

bench-memory: setup ## 1,000 shards with 2 MB each waiting, one worker of 512 MB: its peak memory (needs 4 GB)
	$(CARGO) test --locked --workspace --test memory

soak: setup ## four workers under fire for ten minutes: exact rows, flat memory, nothing left: make soak MINUTES=60 ARGS="--seed 7"
	$(CARGO) build --locked --profile $(PROFILE) -p ivs-tests --bin ivs-processor-under-test
	tests/soak/run.py --program $(BUILT)-under-test --work target --minutes $(MINUTES) $(ARGS)
MINUTES ?= 10

EMULATORS = target/emulators
independent: setup ## the path and the contract again on emulators that others wrote (ministack, kinesis-local); needs Python 3 and Node
	@test -x $(EMULATORS)/venv/bin/ministack || { python3 -m venv $(EMULATORS)/venv && \
	  $(EMULATORS)/venv/bin/pip install --quiet ministack==1.5.33 cbor2==6.3.0; }
	@test -d $(EMULATORS)/node_modules/kinesis-local || \
	  npm install --no-audit --no-fund --silent --prefix $(EMULATORS) kinesis-local@0.6.2
	$(CARGO) test --locked --workspace --test independent

web: ## the reporter for web pages, and what players report by themselves; needs Node 20 or newer
	cd clients/web && npm test --silent
	cd tests/cmcd && npm ci --no-audit --no-fund --silent && npm test --silent

cdk: ## types, lints, tests and rules of the CDK app
	cd infra/cdk && npm ci --no-audit --no-fund && npm run build && npm run lint && npm test

deploy-test: ## the template on an emulator (ministack, in infra/cdk/.venv); needs Python 3 with venv
	@python3 -c 'import ensurepip, venv' || { echo "make: Python's venv is missing (Debian: apt install python3-venv)"; exit 1; }
	cd infra/cdk && npm ci --no-audit --no-fund && npm run test:deploy

onprem: setup ## Prometheus, its rules and a worker; needs prometheus with promtool, and Python 3
	$(CARGO) build --locked --quiet -p ivs-processor
	infra/onprem/check.sh target/debug/ivs-processor

synth: ## the CloudFormation template; no network after npm ci, no docker, no credentials
	cd infra/cdk && npm ci --no-audit --no-fund && npm run synth

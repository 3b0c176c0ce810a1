# Two commands matter: `make demo` and `make test`. Both install what is missing first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export SPECMILL_GIT_HASH := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
SPECMILL := $(TARGET_DIR)/release/specmill
# The setup script prints `export` lines for what it found or brought.
WITH_TOOLS = tools=$$(scripts/setup.sh); eval "$$tools"
# Where there is a PostgreSQL, a database test that skips itself fails.
WITH_POSTGRES = export SPECMILL_REQUIRE_POSTGRES="$${SPECMILL_REQUIRE_POSTGRES:-$${SPECMILL_POSTGRES:+1}}"

.PHONY: demo test lint dictionary sql samples bench bench-peers golden

# From simulated and sample coadds to Parquet, with the account of every target and one picture.
demo:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@rm -rf demo-run/sim && $(SPECMILL) simulate --out demo-run/sim --targets 2000 --targets-per-unit 125 \
		--release dr1 --release dr2 --grouping both
	@echo; echo "== the sample files of data-samples/ =="
	@$(SPECMILL) run jobs/runs/samples.toml
	@$(SPECMILL) show jobs/runs/samples.toml --target $$(cat data-samples/show-target) --out demo-run/target.png
	@echo; echo "== the simulated release =="
	@$(SPECMILL) run jobs/runs/demo.toml

test:
	@$(WITH_TOOLS); $(WITH_POSTGRES); cargo test --locked --workspace

lint:
	@$(WITH_TOOLS); cargo fmt --all --check && cargo clippy --locked --workspace --all-targets -- -D warnings

# docs/data-dictionary.md, from the schemas; a test fails where it is stale.
dictionary:
	@cargo run -q --locked -p specmill-schemas --example write_dictionary -- docs/data-dictionary.md

# The migration that makes the database's tables, from the schemas; a test fails where it is stale.
sql:
	@cargo run -q --locked -p specmill-schemas --example write_tables -- schemas/sql/0002_tables.sql

# data-samples/spectro and data-samples/truth, from the generator.
samples:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@rm -rf data-samples/spectro data-samples/truth && $(SPECMILL) simulate --samples data-samples

# Goldens from independent code; needs network for its pinned Python packages.
golden:
	@python3 -m venv .cache/golden && .cache/golden/bin/pip install -q -r data-samples/golden/requirements.txt
	@cd data-samples/golden && ../../.cache/golden/bin/python make_golden.py --input ../spectro/redux --output . --stride 8
	@cd data-samples/golden && ../../.cache/golden/bin/python make_healpix.py --output .

bench:
	@$(WITH_TOOLS); cargo bench --locked -p specmill-benches

# Our rates and the peers' on the same simulated files, one after the other; prints one table.
bench-peers:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill -p specmill-benches
	@python3 -m venv .cache/peers && .cache/peers/bin/pip install -q -r benches/peers/requirements.txt
	@.cache/peers/bin/python benches/peers/compare.py --specmill $(SPECMILL) \
		--rates $(TARGET_DIR)/release/read_combine --work .cache/bench --record .cache/bench/record

# Two commands matter: `make demo` and `make test`. Both install what is missing first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export SPECMILL_GIT_HASH := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
SPECMILL := $(TARGET_DIR)/release/specmill
# The setup script prints `export` lines for what it found or brought.
WITH_TOOLS = tools=$$(scripts/setup.sh); eval "$$tools"
WITH_TEST_TOOLS = tools=$$(scripts/setup.sh tests); eval "$$tools"
# Where there is a PostgreSQL, a database test that skips itself fails.
WITH_POSTGRES = export SPECMILL_REQUIRE_POSTGRES="$${SPECMILL_REQUIRE_POSTGRES:-$${SPECMILL_POSTGRES:+1}}"
# The same of the manifests' tests and Kubernetes' schemas.
WITH_KUBERNETES = export SPECMILL_REQUIRE_KUBERNETES="$${SPECMILL_REQUIRE_KUBERNETES:-$${SPECMILL_KUBERNETES_VALIDATE:+1}}"

.PHONY: demo demo-database test test-all test-checked lint dictionary sql registers samples bench numbers \
	bench-peers bench-scaling bench-tables check-tables golden gpu-check image manifests sbom

# From simulated and sample coadds to Parquet and PostgreSQL, with the account of every target and two pictures.
demo:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@$(SPECMILL) db stop jobs/runs/demo.toml >/dev/null
	@rm -rf demo-run/sim && $(SPECMILL) simulate --out demo-run/sim --targets 2000 --targets-per-unit 125 \
		--release dr1 --release dr2 --grouping both --catalogs
	@cp -r data-samples/spectro/redux/fuji demo-run/sim/spectro/redux/
	@echo; echo "== the sample files of data-samples/ =="
	@$(SPECMILL) run jobs/runs/samples.toml
	@$(SPECMILL) show jobs/runs/samples.toml --target $$(cat data-samples/show-target) --out demo-run/target.png
	@echo; echo "== the simulated release, and the sample files of fuji =="
	@$(SPECMILL) run jobs/runs/demo.toml
	@$(WITH_TOOLS); if [ -n "$${SPECMILL_POSTGRES:-}$${DATABASE_URL:-}" ]; then $(MAKE) --no-print-directory demo-database; \
		else echo "left out: loading and similar, which need PostgreSQL with pgvector (see above)"; fi

# The demo's second half: load, index, and ask what looks like a quasar of the sample files.
demo-database:
	@echo; echo "== the database =="
	@[ -n "$${DATABASE_URL:-}" ] || $(SPECMILL) db start jobs/runs/demo.toml
	@$(SPECMILL) db migrate jobs/runs/demo.toml
	@$(SPECMILL) db load jobs/runs/demo.toml
	@$(SPECMILL) db index jobs/runs/demo.toml
	@echo; echo "== what looks like it? =="
	@$(SPECMILL) similar jobs/runs/demo.toml --target $$(cat data-samples/similar-target) --out demo-run/similar.png
	@echo; echo "== galaxies with redshift catalogue, FastSpecFit, groups and voids =="
	@$(SPECMILL) export jobs/runs/demo.toml ard.galaxy_ard --out demo-run/galaxy_ard.parquet
	@[ -n "$${DATABASE_URL:-}" ] || $(SPECMILL) db stop jobs/runs/demo.toml

test:
	@$(WITH_TEST_TOOLS); $(WITH_POSTGRES); $(WITH_KUBERNETES); export SPECMILL_REQUIRE_KERNELS=$${SPECMILL_REQUIRE_KERNELS-$$([ ! -e .cache/nvrtc ] || [ -z "$${SPECMILL_NVRTC-brought}" ] || echo 1)}; \
		cargo test --locked --workspace --exclude specmill-joins
	@$(MAKE) --no-print-directory test-checked

# With polars, which takes minutes to build: joins without a server, against the database's views.
test-all: test
	@$(WITH_TOOLS); cargo clippy --locked -p specmill-joins -p specmill --features specmill/joins --all-targets -- -D warnings
	@$(WITH_TOOLS); $(WITH_POSTGRES); cargo test --locked -p specmill-joins -p specmill --features specmill/joins -- joins:: views::

# The kernels' text once more, with every access to memory and every conversion checked.
test-checked:
	@$(WITH_TOOLS); asan=$$($${CXX:-g++} -print-file-name=libasan.so 2>/dev/null || true); \
		if [ "$$(uname -sm)" != "Linux x86_64" ] || [ ! -e "$$asan" ]; then \
			echo "SKIPPED test-checked: it needs GCC's libasan on x86-64 Linux"; exit 0; fi; \
		export SPECMILL_EMULATION=checked ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1; \
		CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="env LD_PRELOAD=$$asan" \
		cargo test --locked -q -p specmill-kernels --test conformance -- emulated_forward

lint:
	@$(WITH_TOOLS); cargo fmt --all --check && cargo clippy --locked --workspace --exclude specmill-joins --all-targets -- -D warnings

# docs/data-dictionary.md, from the schemas; a test fails where it is stale.
dictionary:
	@cargo run -q --locked -p specmill-schemas --example write_dictionary -- docs/data-dictionary.md

# The migration that makes the database's tables, from the schemas; a test fails where it is stale.
sql:
	@cargo run -q --locked -p specmill-schemas --example write_tables -- schemas/sql/0002_tables.sql

# jobs/rendered, from jobs/runs/cluster.toml; a test fails where it is stale.
manifests:
	@$(WITH_TOOLS); cargo run -q --locked -p specmill -- job render jobs/runs/cluster.toml --out jobs/rendered

# kernels/registers.txt, from what the assembler says of each kernel; a test fails where one grew or spills.
registers:
	@$(WITH_TOOLS); cargo run -q --locked -p specmill-kernels --example write_registers -- kernels/registers.txt

# data-samples/spectro and data-samples/truth, from the generator.
samples:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@rm -rf data-samples/spectro data-samples/truth && $(SPECMILL) simulate --samples data-samples

# Goldens from independent code; needs network for its pinned Python packages.
golden:
	@python3 -m venv .cache/golden && .cache/golden/bin/pip install -q -r data-samples/golden/requirements.txt
	@cd data-samples/golden && ../../.cache/golden/bin/python make_golden.py --input ../spectro/redux --output . --stride 8
	@cd data-samples/golden && ../../.cache/golden/bin/python make_healpix.py --output .

# One folder that can be carried to a machine with an NVIDIA driver and nothing else; its CPU half runs here.
# There: gpu-check/check.sh [FOLDER FOR THE REPORT].
gpu-check:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill -p specmill-benches --bin specmill --bin device_rates
	@$(WITH_TOOLS); cargo test --release --locked --no-run -p specmill-kernels --test conformance --message-format json \
		| sed -n 's/.*"executable":"\([^"]*conformance[^"]*\)".*/\1/p' > $(TARGET_DIR)/conformance.path
	@rm -rf gpu-check && mkdir gpu-check && cp benches/gpu-check/* $(SPECMILL) $(TARGET_DIR)/release/device_rates gpu-check/
	@cp "$$(cat $(TARGET_DIR)/conformance.path)" gpu-check/conformance && strip gpu-check/specmill gpu-check/device_rates gpu-check/conformance
	@size=$$(du -sm gpu-check | cut -f1); echo "gpu-check: $$size MiB"; [ "$$size" -le 64 ]
	@gpu-check/check.sh

# Every group, briefly, and the machine-stamped record of it in benches/runs. CRITERION="..." takes other settings.
CRITERION ?= --warm-up-time 1 --measurement-time 2 --sample-size 10 --noplot
CRITERION_RUN = $(abspath $(TARGET_DIR))/criterion-run
bench:
	@$(WITH_TOOLS); cargo build --release --locked -p specmill -p specmill-benches --bin specmill --bin record
	@rm -rf $(CRITERION_RUN)
	@$(WITH_TOOLS); CRITERION_HOME=$(CRITERION_RUN) cargo bench --locked -p specmill-benches -- $(CRITERION)
	@$(TARGET_DIR)/release/record $(CRITERION_RUN) benches/runs $$(date +%F) $(SPECMILL_GIT_HASH) "$$(rustc --version)"

# The README's table, from the newest record beside the peers; a test fails where it is stale.
numbers:
	@$(WITH_TOOLS); cargo run -q --locked -p specmill-benches --bin numbers -- README.md benches/runs

# Python peers in their pinned versions; needs network.
.cache/peers/installed: benches/peers/requirements.txt data-samples/golden/requirements.txt
	@python3 -m venv .cache/peers && .cache/peers/bin/pip install -q -r $<
	@touch $@

# Our rates beside the peers' on the same files, vectors and server, and beside the machine's limits, in one run:
# one table, and a record in benches/runs. Ten minutes.
bench-peers: .cache/peers/installed
	@$(WITH_TOOLS); cargo build --release --locked -p specmill -p specmill-benches
	@$(WITH_TOOLS); .cache/peers/bin/python benches/peers/compare.py --specmill $(SPECMILL) --work .cache/bench --runs benches/runs

# What every stage costs against the number of targets, and what that says of DR1: fifteen minutes, 15 GB of disk.
bench-scaling: .cache/peers/installed
	@$(WITH_TOOLS); cargo build --release --locked -p specmill -p specmill-benches
	@$(WITH_TOOLS); .cache/peers/bin/python benches/peers/scaling.py --specmill $(SPECMILL) --work .cache/bench/scaling --runs benches/runs

# Python readers of tables; needs network for their pinned packages.
.cache/tables/installed: benches/peers/tables-requirements.txt data-samples/golden/requirements.txt
	@python3 -m venv .cache/tables && .cache/tables/bin/pip install -q -r $<
	@touch $@

# Every table of the genuine files (SPECMILL_REAL_DATA), converted, against astropy and fitsio, value by value; what
# was written, against pyarrow, polars and DuckDB.
check-tables: .cache/tables/installed
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@.cache/tables/bin/python benches/peers/check_tables.py --specmill $(SPECMILL)

# Tables as large as DR1's to Parquet, beside astropy and fitsio with pyarrow.
bench-tables: .cache/tables/installed
	@$(WITH_TOOLS); cargo build --release --locked -p specmill
	@.cache/tables/bin/python benches/peers/tables.py --specmill $(SPECMILL) --work .cache/bench/tables

# The image, with docker, podman or buildah, whichever is there; base images with BASE=... BUILD_BASE=...
image:
	@for tool in docker podman buildah; do command -v $$tool >/dev/null 2>&1 && break; done; \
		version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1); \
		$$tool build -f jobs/Dockerfile -t specmill:$$version --build-arg VERSION=$$version --build-arg GIT_HASH="$$SPECMILL_GIT_HASH" \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(if $(BUILD_BASE),--build-arg BUILD_BASE=$(BUILD_BASE)) .

# Every crate that is compiled into the program, as CycloneDX JSON.
sbom:
	@$(WITH_TOOLS); scripts/sbom.sh specmill.cdx.json

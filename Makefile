# Every target does the set-up it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: help setup setup-check build run install test check bench fuzz
.NOTPARALLEL:

CACHE = "$${XDG_CACHE_HOME:-$$HOME/.cache}/medivision-tui"
DENY = $(CACHE)/cargo-deny/bin/cargo-deny --config .cargo/deny.toml

export GPU PREFIX DESTDIR
# Most tests of watch and terminal wait for something: more of them at a time than there are cores.
export RUST_TEST_THREADS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n > 6 ? n : 6)))
# Set and empty would win over `.cargo/config.toml`, and lead nowhere.
ifeq ($(LIBTORCH),)
unexport LIBTORCH
endif

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

setup:  ## check the tools, fetch libtorch once (GPU=yes|no; otherwise detected)
	@.ci/setup

setup-check:
	@.ci/setup --check

build: setup  ## build the optimised program: target/release/medivision-tui
	cargo build --release

run: setup  ## open the demo (ARGS="…" runs the program with other arguments)
	cargo run --release -- $(or $(ARGS),demo)

# What `sudo make install` puts in place was built before, by the user who has a Rust.
install: $(if $(SUDO_USER),,build)  ## install in ~/.local, or PREFIX="…" (/usr/local for all users)
	@.ci/install "$${CARGO_TARGET_DIR:-target}/release/medivision-tui"

test: setup  ## run all tests
	cargo test

check: setup-check  ## check formatting, lints, documentation, tests, licences and sources of dependencies
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps
	cargo test
	$(DENY) check bans licenses sources
	@if timeout 120 $(DENY) fetch db >/dev/null 2>&1 </dev/null; then \
	    $(DENY) check advisories; \
	else \
	    echo 'advisories: skipped, their database cannot be reached'; \
	fi

bench: build  ## measure the speed of the parts (criterion) and of the whole (ARGS="…" for `medivision-tui bench`)
	cargo bench
	cargo run --release -- bench $(ARGS)

fuzz:  ## search for files that break the decoders, FUZZ_SECONDS=600 per target (TARGETS="dicom raster related stream")
	@tests/fuzz/run $(TARGETS)

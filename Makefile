# The commands of everyday work; what they do is in CMakePresets.json and scripts/.
#   make            build the library and the program (build/release)
#   make test       install what is missing, build, run every test
#   make demo       simulate a platform, train on it, show the result
#   make experiments-quick  compare models on a small simulated platform
#   make demo-online  the way to users: serve, A/A, A/B, join, analyse, retrain, roll out
SHELL := /bin/bash
PEERS ?= bench/peers

.PHONY: all build deps venv test test-release test-double test-python demo demo-online experiments-quick bench bench-peers bench-serve \
        format format-check lint asan tsan fuzz clean

all: build

build: | deps
	cmake --preset release >/dev/null
	cmake --build build/release

# ---- What must be there ----------------------------------------------------------

deps: build/.deps
build/.deps: scripts/install-deps.sh
	scripts/install-deps.sh
	@mkdir -p build && touch $@

venv: .venv/.stamp
.venv/.stamp: python/requirements.txt | deps
	python3 -m venv .venv
	.venv/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

.venv-peers/.stamp: python/requirements-peers.txt | deps
	python3 -m venv .venv-peers
	.venv-peers/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

# ---- Tests -------------------------------------------------------------------------

test: test-release test-double test-python

test-release test-double: test-%: | deps
	scripts/run-tests.sh $*

# They run the program and the double build, so they come after both.
PYTHON_TESTS := $(wildcard tests/python/test_*.py)
test-python: $(if $(PYTHON_TESTS),.venv/.stamp) | test-release test-double
ifneq ($(PYTHON_TESTS),)
	.venv/bin/python -m pytest -q tests/python --junitxml=build/results/python.xml
endif

asan tsan: | deps
	scripts/run-tests.sh $@

# Each target for FUZZ_SECONDS, from its corpus.
FUZZ_SECONDS ?= 60
fuzz: | deps
	cmake --preset fuzz >/dev/null
	cmake --build build/fuzz
	scripts/fuzz.sh $(FUZZ_SECONDS)

# ---- Demonstration and measurements ---------------------------------------------------

demo: build
	build/release/hinet simulate --rows 1000000 --seed 1 --out demo
	build/release/hinet train demo/config.yaml --out demo/run

# Six models, three seeds, on a small simulated platform.
experiments-quick: build
	build/release/hinet simulate --rows 200k --seed 1 --out runs/quick-platform --quiet >/dev/null
	build/release/hinet experiment examples/experiments/quick.yaml --out runs/experiments-quick

demo-online: build
	scripts/demo-online.sh

bench: build
	cmake --build build/release --target hinet_bench
	build/release/hinet_bench

bench-peers: .venv-peers/.stamp bench
	.venv-peers/bin/python $(PEERS)/run.py

# BENCH_SERVE="--only overload --json out.json" and the like (bench/serve/run.py --help).
bench-serve: build
	cmake --build build/release --target hinet_bench hinet_load
	python3 bench/serve/run.py $(BENCH_SERVE)

# ---- Form --------------------------------------------------------------------------------

SOURCES = $(shell git ls-files '*.c' '*.h')
format:
	clang-format -i $(SOURCES)

format-check:
	clang-format --dry-run --Werror $(SOURCES)

lint: build
	scripts/lint.sh build/release

clean:
	rm -rf build

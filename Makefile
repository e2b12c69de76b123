# The verbs of valkey-flash. Everything goes through the CMake presets (CMakePresets.json); this
# file only names what people type. `make help` lists it.

PORT ?= 6379
DIR ?= run-data
ARGS ?=
SOAK_SECONDS ?= 3600
JOBS ?= $(shell nproc)
SECONDS_EACH ?= 60
PYTHON := /usr/bin/python3
MODULE := build/libvalkey_flash.so

.PHONY: help setup build debug run test crash-test failure-test soak container-test monitoring-test bench \
  demo dist dist-test test-aarch64 fuzz format lint coverage clean
.DEFAULT_GOAL := help

help:
	@echo 'make build              the library, $(MODULE), build/flash-sizer, build/flash-bench'
	@echo 'make run                a server with it in the foreground [PORT=6379] [DIR=run-data] [ARGS=...]'
	@echo 'make test               unit, simulator and integration tests'
	@echo 'make bench [CHECK=1]    measurements (CHECK=1: PASS or SHORT beside each promise), docs/benchmarks.md'
	@echo 'make container-test     builds the image and runs it (Debian, as root)'
	@echo 'make monitoring-test    exporter, alerts and dashboard with a real Prometheus (Debian)'
	@echo 'make demo               a data set of several times the cache, verified byte by byte'
	@echo 'make crash-test         kill -9 at random moments [ARGS=--kills 1000]'
	@echo 'make failure-test       failovers, cut links, kills under load, as root [ARGS=--seconds 3600]'
	@echo 'make soak               mixed load for an hour, memory and descriptors must not rise [SOAK_SECONDS=3600]'
	@echo 'make fuzz               each fuzzer for a minute [SECONDS_EACH=60]'
	@echo 'make dist               tarballs and checksums in build/dist, x86_64 and aarch64 (Debian)'
	@echo 'make dist-test          unpacks what make dist made, checks it and runs it'
	@echo 'make test-aarch64       unit tests and simulators for 64-bit ARM, by qemu (Debian)'
	@echo 'make format | lint | coverage | clean'

setup:
	@scripts/setup

build: setup
	@scripts/build release valkey_flash flash_sizer flash_bench

run: build
	@scripts/run "$(PORT)" "$(DIR)" $(ARGS)

test: setup
	@scripts/other_servers
	@scripts/test

container-test: setup
	@scripts/container-test

monitoring-test: build
	@scripts/monitoring-test

bench: setup
	@scripts/build release
	@$(PYTHON) scripts/bench.py $(if $(CHECK),--check)
	@$(PYTHON) scripts/benchmarks.py

demo: build
	@$(PYTHON) scripts/demo.py

format: setup
	@scripts/format

lint: setup
	@scripts/lint

crash-test: build
	@$(PYTHON) tests/integration/crash $(ARGS)

failure-test: build
	@$(PYTHON) tests/integration/failures $(ARGS)

soak: build
	@$(PYTHON) tests/integration/soak --seconds $(SOAK_SECONDS) $(ARGS)

fuzz: setup
	@scripts/fuzz $(SECONDS_EACH)

dist: setup
	@scripts/dist

dist-test:
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/integration/dist_checks.py

test-aarch64: setup
	@scripts/test-aarch64

coverage: setup
	@scripts/coverage

clean:
	rm -rf build

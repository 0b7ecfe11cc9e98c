# Every target sets the checkout up first; that is instant when nothing is missing.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
BIN := .venv/bin
.PHONY: setup demo test check lint bench

setup:
	@"$(ROOT)/scripts/setup"

demo: setup
	@cd "$(ROOT)" && $(BIN)/kestrel-lab demo

# Everything; the kernel tests by themselves, so that nothing else runs beside what they measure. A kernel test that
# skips where eBPF works counts as failed.
test: lint
	@cd "$(ROOT)" && $(BIN)/pytest -n auto -m "not kernel" && $(BIN)/pytest -m kernel

# The fast lane: under two minutes, no root.
check: lint
	@cd "$(ROOT)" && $(BIN)/pytest -n auto -m "not slow and not kernel"

lint: setup
	@cd "$(ROOT)" && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# Needs root; installs perf and bpftrace to compare with.
bench:
	@"$(ROOT)/scripts/setup" --bench
	@cd "$(ROOT)" && $(BIN)/python -m bench

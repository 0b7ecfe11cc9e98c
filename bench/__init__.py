"""Benchmarks: against peers on the same storm, replay throughput, live alert latency. Run by `make bench`."""

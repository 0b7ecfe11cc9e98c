"""Packs, the index, runtimes, sequences, limits and alerts."""

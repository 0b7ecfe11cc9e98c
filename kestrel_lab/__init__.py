"""Kestrel Lab: deterministic record-and-replay forensics for Linux."""

__version__ = "0.1.0"

"""Jupyter integration. Reserved for a later release."""

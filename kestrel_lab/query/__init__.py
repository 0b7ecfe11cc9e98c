"""Imports; SQL over recordings is reserved for a later release."""

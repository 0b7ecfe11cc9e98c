"""Tests of strings, once per distinct value: classes of values that pass the same tests."""

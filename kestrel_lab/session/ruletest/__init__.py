"""Tests that stand beside rules: their cases, and the conditions that no case distinguishes."""

from kestrel_lab.session.ruletest.run import RuleTest, Undistinguished, test_rules

__all__ = ["RuleTest", "Undistinguished", "test_rules"]

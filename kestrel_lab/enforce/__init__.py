"""Actions on alerts. Reserved: nothing is enforced yet."""

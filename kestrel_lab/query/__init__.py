"""SQL over recordings. Reserved for a later release."""

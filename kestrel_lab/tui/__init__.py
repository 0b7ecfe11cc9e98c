"""The Textual app. Reserved for a later release."""

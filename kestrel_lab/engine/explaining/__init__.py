"""Why a rule fires at an event, or does not."""

"""What every layer shares: fields, categories, ids, the schema lock, and the epoch."""

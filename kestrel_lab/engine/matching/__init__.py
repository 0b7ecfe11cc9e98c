"""The ordered reduce over hits: alerts of events at once, of sequences and samples when they are whole."""

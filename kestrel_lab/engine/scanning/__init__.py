"""The scan of epochs: which rows a rule has to look at, the columns it reads there, and what passes."""

"""Generated rules over generated streams: the engine on every backend in every mode against the definition.

`python -m tests.differential --pairs 200000 --seed 1` runs as many (rule, stream) pairs as asked for.
"""

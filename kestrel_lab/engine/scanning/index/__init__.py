"""The index: which rows a stage has to look at, for all stages of a table together.

Stages whose actions are absent cost nothing. A stage sees the rows that pass a test of every clause it has. Rows are
taken through the fields one by one; what is known of a row after some fields, which stages are still open and what
they still ask for, is a state, and there are few: a row moves from state to state by tables, however many rules there
are.
"""

from kestrel_lab.engine.scanning.index.table import Candidates, TableIndex

__all__ = ["Candidates", "TableIndex"]

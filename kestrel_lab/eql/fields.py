"""Names to fields of the schema: what a query may read, and what an unknown name gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from kestrel_lab.eql import ast
from kestrel_lab.eql.errors import QueryError
from kestrel_lab.eql.ir import Expr, Rewrite
from kestrel_lab.eql.typed import Node
from kestrel_lab.schema.schema import BUILTIN, Schema
from kestrel_lab.schema.types import Field


@dataclass
class Scope:
    """The schema, those fields that a query was seen to read, and what was made of its conditions."""

    schema: Schema = BUILTIN
    used: set[str] = field(default_factory=set)
    rewrites: list[Rewrite] = field(default_factory=list)

    def note(self, name: str, before: Node, after: Node | Expr) -> None:
        """Record what was made of a node."""
        self.rewrites.append(Rewrite(name, before, after))

    @property
    def known(self) -> Mapping[str, Field]:
        """Every field by name."""
        return self.schema.fields

    def find(self, name: ast.Name) -> Field | None:
        """Return the field of a name; None for an optional one that does not exist: it is null everywhere.

        Raises:
            QueryError: for an unknown field that is not optional.
        """
        found = self.known.get(name.name)
        if found is None:
            if name.optional:
                return None
            near = get_close_matches(name.name, self.known, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise QueryError(name.pos, f"unknown field `{name.name}`",
                        f"{hint}`?{name.name}` reads as null where the field does not exist")  # fmt: skip
        self.used.add(found.name)
        return found

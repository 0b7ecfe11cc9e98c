"""Typed tree to the straight-line code of a computed test."""

from __future__ import annotations

from kestrel_lab.eql.leaftests import ScalarTest, Step
from kestrel_lab.eql.textleaf import text_test
from kestrel_lab.eql.typed import Kind, Node, fold_tree


def steps_of(root: Node) -> ScalarTest:
    """Return the code that computes an expression in its last step.

    Raises:
        QueryError: for a pattern that is refused.
    """
    code = _Code()
    last = fold_tree(root, _parts, code.step_of)
    if last != len(code.steps) - 1:
        code.add(Step("same", root.kind, (last,)))
    return ScalarTest(tuple(code.steps))


def _parts(node: Node) -> tuple[Node, ...]:
    """Return the parts that are computed: the constants of a text test or a list are in the step itself."""
    return node.args[:1] if node.op == "in" or text_test(node, "") is not None else node.args


class _Code:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[Step, int] = {}

    def add(self, step: Step) -> int:
        """Return the number of a step, adding it if there is no equal one."""
        found = None if step.many else self._numbers.get(step)
        if found is None:
            found = self._numbers[step] = len(self.steps)
            self.steps.append(step)
        return found

    def step_of(self, node: Node, args: tuple[int, ...]) -> int:
        """Add the step of a node and return its number; `args` are those of its parts."""
        if node.op == "value":
            return self.add(Step("value", node.kind, value=node.value))
        if node.field is not None:
            return self.add(Step("field", node.kind, field=node.field.name, many=node.field.many))
        test = text_test(node, "")
        if test is not None:
            return self.add(Step("test", Kind.BOOL, args, test=test))
        if node.op == "in":
            values = tuple(item.value for item in node.args[1:] if isinstance(item.value, int | float))
            return self.add(Step("in", Kind.BOOL, args, value=values))
        if node.op in ("string", "concat"):
            args = tuple(self._dated(part, number) for part, number in zip(node.args, args, strict=True))
        if node.op == "==" and any(part.kind is Kind.IP for part in node.args):
            return self.add(Step("same_address", Kind.BOOL, args))
        return self.add(Step(node.op, node.kind, args, node.fold))

    def _dated(self, part: Node, number: int) -> int:
        """Return the step that a date, a number, has become a text in."""
        return self.add(Step("date", Kind.TEXT, (number,))) if part.kind is Kind.DATE else number

"""Runs the cases of rules, in both modes, and looks for conditions that no case distinguishes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kestrel_lab.engine import Engine, Pack, Rule, RuleCheck, check_pack
from kestrel_lab.eql.errors import QueryError, Source
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.errors import KestrelError, RuleError, UsageError
from kestrel_lab.schema.schema import BUILTIN
from kestrel_lab.session.ruletest.file import SUFFIX, Case, CaseFile, read, tests_of
from kestrel_lab.session.ruletest.items import Unmatched, unmatched_items
from kestrel_lab.session.ruletest.mutants import Mutant, conditions_of, mutants
from kestrel_lab.session.ruletest.world import World

MODES: tuple[Mode, ...] = ("live", "deterministic")

#: What a rule raised in a case: for each alert the events it names, counted from 1, sorted. An empty one stands for an
#: event at which it ran out of fuel or trapped.
_Raised: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Undistinguished:
    """A condition that no case distinguishes.

    Attributes:
        condition: its text; `changes`: what may become of it unnoticed, as ends of sentences.
        reason: why that is accepted, empty if it is not.
        error: the same as a message with its place.
    """

    condition: str
    changes: tuple[str, ...]
    reason: str
    error: RuleError


@dataclass(slots=True)
class RuleTest:
    """What the tests of one rule showed.

    Attributes:
        problems: what is wrong: a case that failed, a missing case, a test file that cannot be read.
        mutants: how many changed copies were run; None if the rule cannot be changed so, or a case failed.
        undistinguished: conditions that no case distinguishes, accepted ones included.
        unmatched: items of lists that no event of any case matches; information, no fault.
    """

    check: RuleCheck
    fires: int = 0
    quiet: int = 0
    problems: list[KestrelError] = field(default_factory=list)
    mutants: int | None = None
    undistinguished: list[Undistinguished] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)

    @property
    def run(self) -> bool:
        """Whether it is a rule that the engine runs."""
        return self.check.rule is not None

    @property
    def findings(self) -> list[KestrelError]:
        """Everything that fails the rule, in the order it was found."""
        open_ = [found.error for found in self.undistinguished if not found.reason]
        return [*([self.check.error] if self.check.error else []), *self.problems, *open_]

    @property
    def ok(self) -> bool:
        """Whether nothing fails it."""
        return not self.findings


def test_rules(paths: Sequence[Path]) -> list[RuleTest]:
    """Run the tests of every rule in files and folders; return what they showed, in the order of the files.

    Raises:
        UsageError: if a path does not exist, or nothing is there.
        RuleError: if a test file stands beside no rule.
    """
    checks = check_pack(paths)
    _refuse_orphans(paths, {str(tests_of(check.path)) for check in checks})
    return [_test(check) for check in checks]


test_rules.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


def _refuse_orphans(paths: Iterable[Path], known: set[str]) -> None:
    for path in paths:
        for file in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else []:
            if str(file) not in known:
                rule = file.name.removesuffix(SUFFIX) + ".toml"
                raise RuleError("the tests of no rule", where=str(file), do=f"There is no {rule} beside it.")


def _test(check: RuleCheck) -> RuleTest:
    found = RuleTest(check)
    if check.rule is None:
        return found
    path = tests_of(check.path)
    if not path.exists():
        found.problems.append(RuleError("the rule has no tests", where=check.path, do=f"Write {path.name} beside it."))
        return found
    try:
        cases = read(path)
        world = World(cases)
        rule = _rule_for(check, check.rule, world)
    except (RuleError, UsageError) as error:
        found.problems.append(error)
        return found
    _run_cases(found, rule, cases, world)
    source = None if found.problems else conditions_of(rule)
    if source is not None:
        _run_mutants(found, rule, source, cases, world)
        found.unmatched = unmatched_items(source.text, world.fields)
    return found


def _rule_for(check: RuleCheck, rule: Rule, world: World) -> Rule:
    """Return the rule, compiled against the schema of the events."""
    if world.info.schema == BUILTIN:
        return rule
    (found,) = check_pack([Path(check.path)], schema=world.info.schema)
    if found.error is not None:
        raise found.error
    return found.rule or rule


def _run_cases(found: RuleTest, rule: Rule, file: CaseFile, world: World) -> None:
    found.fires = sum(case.kind == "fires" for case in file.cases)
    found.quiet = len(file.cases) - found.fires
    for number, kind in ((found.fires, "fires"), (found.quiet, "quiet")):
        if not number:
            found.problems.append(RuleError(f"the tests have no [[{kind}]] case", where=file.path))
    for mode in MODES:
        for case, raised in zip(file.cases, _raised([rule], world, mode), strict=True):
            if raised[0] != case.alerts:
                found.problems.append(_failed(case, raised[0], mode))


def _failed(case: Case, raised: _Raised, mode: Mode) -> RuleError:
    return RuleError(
        f"{case.kind} {case.title!r}: raised {_said(raised)}, not {_said(case.alerts)} ({mode})", where=case.where
    )


def _said(alerts: _Raised) -> str:
    texts = ("[" + ", ".join(map(str, events)) + "]" if events else "an error (fuel or a trap)" for events in alerts)
    return " and ".join(texts) or "nothing"


def _raised(rules: Sequence[Rule], world: World, mode: Mode) -> list[list[_Raised]]:
    """Return, for each case, what each rule raised; cases know nothing of one another."""
    engine = Engine(Pack(tuple(rules), {}, "", schema=world.info.schema), world.info, mode)
    empty = engine.state()
    out = []
    for epochs in world.cases:
        engine.restore(empty)
        results = [engine.process(epoch) for epoch in epochs]
        by_rule: dict[str, list[tuple[int, ...]]] = {rule.id: [] for rule in rules}
        for stopped in (row for result in results for row in result.exhausted):
            by_rule[stopped.rule_id].append(())
        for alert in [*(alert for result in results for alert in result.alerts), *engine.finish("sealed")]:
            ids = tuple(i - epochs[0].first_event_id + 1 for i in alert.event_ids if i is not None)
            by_rule[alert.rule_id].append(ids)
        out.append([tuple(sorted(by_rule[rule.id])) for rule in rules])
    return out


def _run_mutants(found: RuleTest, rule: Rule, source: Source, file: CaseFile, world: World) -> None:
    changed = list(mutants(rule, source.text, world.info.schema))
    noticed = [False] * len(changed)
    if changed:
        for case, raised in zip(file.cases, _raised([m.rule for m in changed], world, "deterministic"), strict=True):
            noticed = [seen or alerts != case.alerts for seen, alerts in zip(noticed, raised, strict=True)]
    found.mutants = len(changed)
    left: dict[tuple[int, str], list[Mutant]] = {}
    for mutant, seen in zip(changed, noticed, strict=True):
        if not seen:
            left.setdefault((mutant.pos, mutant.condition), []).append(mutant)
    reasons = {" ".join(e.condition.split()): e for e in file.excuses}
    for (pos, condition), alike in left.items():
        changes = tuple(mutant.change for mutant in alike)
        what = f"no test notices if `{condition}` {' or '.join(changes)}"
        reason = reasons[condition].reason if condition in reasons else ""
        found.undistinguished.append(Undistinguished(condition, changes, reason, source.error(QueryError(pos, what))))
    for condition, excuse in reasons.items():
        if condition not in {text for _, text in left}:
            what = f"the tests distinguish `{condition}`, or the rule has no such condition"
            found.problems.append(RuleError(what, where=excuse.where, do="Remove this [[undistinguished]]."))

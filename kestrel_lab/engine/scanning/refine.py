"""Code of users, asked about the hits that the rest of their rules left: each recorded epoch by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kestrel_lab.engine.limits import Limits
from kestrel_lab.engine.lua.rule import LuaRule, LuaRuleModule
from kestrel_lab.engine.packs.rule import Rule
from kestrel_lab.engine.scanning.columns import ColumnMemory
from kestrel_lab.engine.scanning.progress import Place, Progress
from kestrel_lab.engine.scanning.span import Span
from kestrel_lab.engine.text.classes import key_of_test
from kestrel_lab.engine.user import Passed, StoppedError, UserModule, UserRule, Which
from kestrel_lab.eql import TextTest
from kestrel_lab.schema.access import Coded
from kestrel_lab.schema.alert import Mode
from kestrel_lab.schema.epoch import Array, Epoch, SourceInfo


class Refiner:
    """The users' code of a pack, in one mode."""

    def __init__(
        self, rules: Sequence[Rule], info: SourceInfo, mode: Mode, limits: Limits, columns: ColumnMemory
    ) -> None:
        """Compile them. Text tests are looked up in the classes of `columns`."""
        self._info, self._columns = info, columns
        self._modules = {n: _load(r.user, mode, limits) for n, r in enumerate(rules) if r.user is not None}

    def refine(self, span: Span, progress: Progress) -> None:
        """Leave of each such rule's hits those that its module passes, or none where it stopped."""
        for rule, module in self._modules.items():
            if rule not in progress.stopped:
                places = {(table, stage.number): (table, stage) for table, stage in progress.hits if stage.rule == rule}
                try:
                    self._refine(rule, module, places, span, progress)
                except StoppedError as error:
                    progress.stop(rule, error.limit, trapped=error.trapped)

    def _refine(
        self, rule: int, module: UserRule | LuaRule, places: Mapping[Which, Place], span: Span, progress: Progress
    ) -> None:
        found: dict[Which, list[tuple[int, Passed]]] = {}
        for epoch, asked in _by_epoch(places, span, progress):
            own = {which: rows for which, (_, rows) in asked.items()}
            passed, used = module.evaluate(self._info, epoch, own, self._passes)
            progress.used[rule] = progress.used.get(rule, 0) + used
            progress.evaluations += sum(map(len, own.values()))
            for which, kept in passed.items():
                found.setdefault(which, []).append((asked[which][0], kept))
        for which, parts in found.items():
            progress.hits[places[which]] = [kept.rows + base for base, kept in parts]
            names = parts[0][1].captures
            progress.made[places[which]] = {n: [v for _, kept in parts for v in kept.captures[n]] for n in names}

    def _passes(self, table: str, test: TextTest, found: Coded) -> npt.NDArray[np.bool_]:
        classes = self._columns.classes_of(table, test.field)
        number = classes.number_of(key_of_test(test))
        numbers = classes.of(found, (number,) if classes.doubtful[number] else ())  # which may learn new ones
        passed: npt.NDArray[np.bool_] = classes.bits[numbers, number]
        return passed


def _load(module: UserModule | LuaRuleModule, mode: Mode, limits: Limits) -> UserRule | LuaRule:
    return LuaRule(module, mode, limits) if isinstance(module, LuaRuleModule) else UserRule(module, mode, limits)


def _by_epoch(
    places: Mapping[Which, Place], span: Span, progress: Progress
) -> list[tuple[Epoch, dict[Which, tuple[int, Array]]]]:
    """Take the hits of a rule and return them by epoch: where the epoch's rows begin in the span, and its own rows."""
    out: dict[int, tuple[Epoch, dict[Which, tuple[int, Array]]]] = {}
    for which, place in places.items():
        for epoch, base, rows in span.split(place[0], np.concatenate(progress.hits.pop(place))):
            out.setdefault(epoch.number, (epoch, {}))[1][which] = base, rows
    return [out[number] for number in sorted(out)]

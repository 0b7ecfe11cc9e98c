"""Literals that every match of a translated regular expression holds: what to look for before RE2 is asked."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""\(\?: | \) | \| | \[(?:\\.|[^\]\\])*\] | \\x\{[0-9a-f]+\} | \\. | [*+?] | \{[0-9]+(?:,[0-9]*)?\} | .""",
    re.VERBOSE | re.DOTALL,
)
_BOTH_CASES = re.compile(r"\[([A-Z])([a-z])(?:\\x\{d800\})?\]")


def required(source: bytes) -> tuple[bytes, ...] | None:
    """Return lower-case literals of which every match holds at least one, case ignored; None if there are none.

    Args:
        source: as `regex.translate` writes it: one group of alternatives, with any repetition in a group of its own.
    """
    runs: list[list[str]] = [[""]]  # of each alternative, the runs of literal characters that stand at its top
    depth = 0
    for token in _TOKEN.findall(source.decode("ascii")):
        if token == "(?:":
            depth += 1
        elif token == ")":
            depth -= 1
        elif depth == 1 and token == "|":
            runs.append([""])
        elif depth == 1 and (character := _character(token)):
            runs[-1][-1] += character
            continue
        if depth >= 1 and runs[-1][-1]:
            runs[-1].append("")
    best = {max(of_one, key=_worth) for of_one in runs}
    return None if "" in best else tuple(sorted(run.encode() for run in best))


def _character(token: str) -> str:
    """Return the character, in lower case, that a token stands for; empty if it stands for anything else."""
    both = _BOTH_CASES.fullmatch(token)
    if both and both[1].lower() == both[2]:
        return both[2]
    if len(token) == 2 and token[0] == "\\":
        return token[1]
    return token.lower() if len(token) == 1 and token not in "*+?" else ""


def _worth(run: str) -> tuple[int, bool]:
    """Return what sorts literals: long ones, then those that stand in few paths and options."""
    return len(run), run not in ("/", ".", "-")

"""The one severity scale of the project."""

from __future__ import annotations

from enum import IntEnum


class Severity(IntEnum):
    """Severity of a rule and of its alerts, ordered."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case word used in rule files and alerts."""
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """Return the severity named by `text` (any case).

        Raises:
            ValueError: for any other word.
        """
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"severity {text!r} is none of {', '.join(s.label for s in cls)}") from None

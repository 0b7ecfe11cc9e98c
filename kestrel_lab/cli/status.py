"""The quiet status line on a terminal; on anything else, only the words that matter."""

from __future__ import annotations

import sys
from typing import TextIO

_CLEAR = "\r\x1b[2K"


class StatusLine:
    """One line on stderr that is rewritten in place, and lines that scroll above it. Safe to use from threads."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = ""

    def update(self, text: str) -> None:
        """Show `text` in place; nothing off a terminal."""
        if self._live:
            self._shown = text
            self._write(_CLEAR + text)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._write(f"{_CLEAR}{text}\n{self._shown}" if self._live else f"{text}\n")

    def close(self) -> None:
        """Take the status line away."""
        if self._shown:
            self._shown = ""
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        # One write a change: lines of two threads must not mix.
        self._stream.write(text)
        self._stream.flush()

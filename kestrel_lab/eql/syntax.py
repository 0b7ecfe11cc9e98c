"""What to say about text that is no EQL: what was found, what could stand there, and the usual slip behind it."""

from __future__ import annotations

from collections.abc import Collection

from lark import Token

from kestrel_lab.eql.errors import QueryError

_WORDS = {
    "NAME": "a name", "TILDE_NAME": "a function", "STRING": "a string", "RAW": "a string", "INT": "a number",
    "FLOAT": "a number", "TRUE": "a value", "FALSE": "a value", "NULL": "a value", "COMPARE": "a comparison",
    "LPAR": "`(`", "RPAR": "`)`", "OPEN": "`[`", "RSQB": "`]`", "MISSING_OPEN": "`![`", "COMMA": "`,`", "COLON": "`:`",
    "EQUAL": "`=`", "QUESTION": "a name", "PIPE": "`|`", "$END": "the end", "PLUS": "an operator",
    "MINUS": "an operator", "STAR": "an operator", "SLASH": "an operator", "PERCENT": "an operator",
    "IN_FOLD": "`in~`", "LIKE_FOLD": "`like~`", "REGEX_FOLD": "`regex~`",
}  # fmt: skip
_OPERATORS = ("COMPARE", "COLON", "LIKE", "LIKE_FOLD", "IN", "IN_FOLD", "REGEX", "REGEX_FOLD", "NOT", "PLUS", "MINUS",
              "STAR", "SLASH", "PERCENT")  # fmt: skip
_QUOTES = 'strings take double quotes: "..."'
_SLIPS = {
    "'": _QUOTES,
    "&": "write `and`",
    "‘": _QUOTES,
    "’": _QUOTES,
    "“": _QUOTES,
    "”": _QUOTES,
    "!": "write `not` before a condition, `!=` for unequal, `![` for a missing event",
}


def explain_character(text: str, offset: int) -> QueryError:
    """Return the fault for a character that begins no token."""
    char = text[offset]
    if char == '"':
        return QueryError(offset, "the string has no end", 'close it with `"` on the same line')
    if char == "`":
        return QueryError(offset, "the quoted name has no end", "close it with a backtick")
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return QueryError(offset, f"unexpected character {shown}", _SLIPS.get(char, ""))


def explain_token(text: str, token: Token, expected: Collection[str]) -> QueryError:
    """Return the fault for a token that cannot stand where it does."""
    if token.type == "$END":
        return _explain_end(text, expected)
    offset = token.start_pos or 0
    shown = str(token) if len(token) <= 40 else f"{token[:37]}..."
    what = f"unexpected {shown}" if token.type in ("STRING", "RAW") else f"unexpected `{shown}`"
    return QueryError(offset, what, _slip(text, token, offset) or _expected(expected))


def _explain_end(text: str, expected: Collection[str]) -> QueryError:
    end = len(text.rstrip())
    if end == 0:
        return QueryError(0, "the query is empty", "write `process where ...` or `sequence by ...`")
    opened = text.rfind("/*")
    if opened >= 0 and "*/" not in text[opened:]:
        return QueryError(opened, "the comment has no end", "close it with `*/`")
    return QueryError(end, "the query ends too early", _expected(expected))


def _slip(text: str, token: Token, offset: int) -> str:
    before = text[:offset].rstrip()[-8:].split()[-1:]
    word = str(token)
    if token.type == "EQUAL":
        return "to compare, write `==`"
    if word == "|" and text.endswith("|", 0, offset):
        return "write `or`"
    if word.lower() in ("and", "or", "not", "in", "like", "where", "by") and word != word.lower():
        return f"keywords are lower case: `{word.lower()}`"
    if token.type in ("LIKE", "LIKE_FOLD", "COLON", "REGEX", "REGEX_FOLD") and before == ["not"]:
        return f"write `not field {word} ...`"
    if word == ">" and text.endswith("<", 0, offset):
        return "write `!=`"
    if word in "/*" and "/*" in text[max(0, offset - 1) : offset + 2]:
        return "close the comment with `*/`"
    if before in (["in"], ["in~"]):
        return "`in` takes a list in parentheses"
    return ""


def _expected(expected: Collection[str]) -> str:
    names = set(expected)
    if len(names.intersection(_OPERATORS)) > 2:
        names = names.difference(_OPERATORS) | {"PLUS"}
    words = sorted({_WORDS.get(n, f"`{n.lower()}`") for n in names})
    return f"expected {' or '.join(words)}" if words else ""

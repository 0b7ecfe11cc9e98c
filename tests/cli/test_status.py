from io import StringIO

from kestrel_lab.cli.status import StatusLine


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_rewritten_and_words_above_it() -> None:
    out = Terminal()
    status = StatusLine(out)
    status.update("1 event")
    status.say("an alert")
    status.update("2 events")
    status.close()
    clear = "\r\x1b[2K"
    assert out.getvalue() == f"{clear}1 event{clear}an alert\n1 event{clear}2 events{clear}"


def test_anything_else_has_only_the_words() -> None:
    out = StringIO()
    status = StatusLine(out)
    status.update("1 event")
    status.say("an alert")
    status.close()
    assert out.getvalue() == "an alert\n"

from io import StringIO

from rich.console import Console

from core.contracts import TableName
from etl.quarantine import Held
from jobs.show_rules import show_held


def test_what_a_terminal_would_obey_is_not_in_what_is_shown_of_quarantine():
    out = Console(file=StringIO(), width=200, no_color=True)
    held = Held(1, "a\n\x1b[31mb.log", 0, None, "no_rule", "no rule takes \x1b[2J[red]", b"\x1b[2J\x9b[bold]end")

    show_held(out, TableName.parse("quarantine.lines"), [held])

    shown = out.file.getvalue()
    assert "\x1b" not in shown
    assert "a??[31mb.log" in shown
    assert "?[2J�[bold]end" in shown
    assert "takes ?[2J[red]" in shown

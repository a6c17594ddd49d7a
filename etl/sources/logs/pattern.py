"""Patterns of the rules' dialect, for Python."""

from __future__ import annotations

import re

from etl.rules.patterns.safety import check_pattern
from etl.rules.patterns.syntax import PatternError


def python_pattern(text: str) -> str:
    """A pattern in the rules' dialect as Python reads it; raises PatternError when it is not safe, or neither reads it alike."""
    written = check_pattern(text).pattern.text.replace("(?<", "(?P<")
    try:
        re.compile(written, re.ASCII)
    except re.error as error:
        raise PatternError(f"{error.msg}: write it otherwise, this pattern is run by Python", error.pos or 0) from error
    return written

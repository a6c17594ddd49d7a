"""SQL that authors of rules write: checked before it runs, and unable to stop a run by failing on a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.classic.column import Column as ClassicColumn

from core.errors import RuleError

MAX_LENGTH = 10_000
_SHOWN = 200
_CATALYST = "org.apache.spark.sql.catalyst"


def check_length(text: str, where: str) -> None:
    """Raise RuleError when the text is empty, or too long to be SQL that somebody wrote."""
    if not text.strip() or len(text) > MAX_LENGTH:
        raise RuleError(f"{where}: the expression has {len(text):,} characters: write 1 to {MAX_LENGTH:,}")


def attempted(jvm: Any, expression: Column, guard: Column) -> Column:
    """The struct ``{v: result}`` where ``guard`` holds; null where it does not, or where the expression raises.

    ``guard`` must depend on the row: without a condition around it Spark would evaluate what two expressions share outside of
    the attempt.
    """
    convert = getattr(jvm, "org.apache.spark.sql.classic.ExpressionUtils")
    inner = convert.expression(F.struct(expression.alias("v"))._jc)  # noqa: SLF001
    attempt = getattr(jvm, f"{_CATALYST}.expressions.TryEval")(inner)  # has no name in SQL
    return F.when(guard, ClassicColumn(convert.column(attempt)))


def verify_expressions(scope: DataFrame, texts: Mapping[str, str]) -> None:
    """Raise RuleError when an expression does not parse, names no column of ``scope``, or is more than a function of one row.

    ``texts`` holds the expressions by where they stand, which opens the message.
    """
    for where, text in texts.items():
        check_length(text, where)
        shown = f"the expression is {text[:_SHOWN]!r}"
        try:
            plan = scope.select(F.expr(text).alias("v"))
            root: Any = plan._jdf.queryExecution().analyzed()  # noqa: SLF001
        except (PySparkException, Py4JError) as error:
            raise RuleError(f"{where}: {_reason(error)}; {shown}") from error
        if reason := _unfit(scope.sparkSession.sparkContext._jvm, root):  # noqa: SLF001
            raise RuleError(f"{where}: it {reason}, which a rule may not; {shown}")


def _unfit(jvm: Any, root: Any) -> str | None:
    if root.nodeName() != "Project" or root.children().head().nodeName() != "Project":
        return "is more than a function of one row"
    expression = root.expressions().head()
    patterns = getattr(jvm, f"{_CATALYST}.trees.TreePattern")
    if expression.containsPattern(patterns.PLAN_EXPRESSION()):
        return "reads a table"
    if not expression.deterministic():
        return "gives another answer each time, or calls Java"
    if expression.containsPattern(patterns.CURRENT_LIKE()):
        return "depends on when or by whom it is run"
    return None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__

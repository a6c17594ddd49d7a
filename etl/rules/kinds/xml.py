"""Records that are one XML element; each field is a path into it. No entity is resolved and no document type read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from core.errors import RuleError
from etl.rules.fields import FieldSpec
from etl.rules.kinds.elements import NAME, Element, parse_path
from etl.rules.kinds.kind import Record, Refusal, RuleSpec

# Spark's parser stops after the first element and takes any for the root: as the only child of an element of ours the record must
# be the whole of one element, of the name that the rule says.
_WRAP = "_record_"
_TEXT, _OTHER, _DAMAGE = "#text", "xs_any", "_damage_"
_OPTIONS = {
    "mode": "PERMISSIVE",
    "rowTag": _WRAP,
    "attributePrefix": "@",
    "valueTag": _TEXT,
    "wildcardColName": _OTHER,
    "columnNameOfCorruptRecord": _DAMAGE,
}
_DECLARATION = "\\A\ufeff?\\s*<\\?xml [^>]*\\?>"
_DOCTYPE = "<!DOCTYPE"


class XmlField(FieldSpec):
    """``path`` from the root: ``a/b[2]``, ``a/@id``, ``@id``; by default the element of the field's name.

    A step without a number is the first element of its name. The value is the text without space around it, with the mark-up of
    what lies within.
    """

    path: str | None = None


class XmlRule(RuleSpec):
    """``root`` is the name of the record's element.

    Names are as they are written, with the prefix of a namespace (``ns:a``); Spark's parser takes no notice of their case.
    """

    kind: Literal["xml"]
    root: str = Field(pattern=f"^{NAME}$")
    fields: dict[str, XmlField] = Field(min_length=1)

    @property
    def specs(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return self.fields

    @cached_property
    def _element(self) -> Element:
        root = Element()
        for name, spec in self.fields.items():
            root.add(parse_path(spec.path or name))
        return root

    def verify(self, where: str) -> None:
        """Raise RuleError when it cannot run."""
        for name, spec in self.fields.items():
            try:
                Element().add(parse_path(spec.path or name))
            except ValueError as error:
                raise RuleError(f"{where}: field {name!r}: {error}") from error
        try:
            _ = self._element
        except ValueError as error:
            raise RuleError(f"{where}: {error}") from error

    def parse(self, record: Record) -> Column:
        """The element, parsed once; null where the text cannot be one, or has a document type, which may define entities."""
        texts = (StructField(name, StringType()) for name in (_TEXT, _OTHER, _DAMAGE))
        schema = StructType([StructField(self.root, ArrayType(self._element.schema(_TEXT))), *texts])
        whole = F.concat(F.lit(f"<{_WRAP}>"), F.regexp_replace(record.text, _DECLARATION, ""), F.lit(f"</{_WRAP}>"))
        begins = F.startswith(F.ltrim(record.text), F.lit("<")) | F.startswith(record.text, F.lit("\ufeff<"))
        alone = ~F.contains(record.text, F.lit(_DOCTYPE)) & ~F.contains(record.text, F.lit(_WRAP))
        return F.when(begins & alone, F.from_xml(whole, schema, _OPTIONS))

    def takes(self, parsed: Column) -> Column:
        """Whether the record is of the form of the rule."""
        whole = F.coalesce(parsed.getField(_TEXT), parsed.getField(_OTHER), parsed.getField(_DAMAGE)).isNull()
        return F.coalesce((F.size(parsed.getField(self.root)) == 1) & whole, F.lit(False))

    def text(self, parsed: Column, field: str) -> Column:
        """The text of a field."""
        root = F.get(parsed.getField(self.root), F.lit(0))
        return self._element.column(root, parse_path(self.fields[field].path or field), _TEXT)

    def refusals(self, record: Record) -> tuple[Refusal, ...]:
        """Reasons more exact than that no rule took the record."""
        message = f"the record has a document type, which rule {self.name} does not read: it may define entities"
        return (Refusal(F.contains(record.text, F.lit(_DOCTYPE)), "no_rule", F.lit(message)),)

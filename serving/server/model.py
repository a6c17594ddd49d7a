"""A model version as a server holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from core.bundle import Bundle
from core.predictor import Predictor
from serving.server.forms import positional, read_form, read_json
from serving.server.metrics import Meter
from serving.server.reader import Columns, Reader
from serving.server.replies import JSON, Headers, head


class Model:
    """One loaded version: takes bytes of JSON, gives bytes of JSON. Safe to call from several threads."""

    __slots__ = ("_direct", "_order", "bundle", "head", "headers", "meter", "name", "predictor", "reader", "version")

    def __init__(self, name: str, version: int, bundle: Bundle, *, threads: int, max_rows: int) -> None:
        self.name, self.version, self.bundle = name, version, bundle
        self.predictor = Predictor(bundle, threads)
        self.reader = Reader(bundle.signature, max_rows)
        self.meter = Meter(name, version)
        self.headers: Headers = [JSON, (b"x-model-version", b"%d" % version)]
        self.head = head(200, self.headers)
        self._order = [column.name for column in bundle.signature.inputs]
        self._direct = self.predictor.takes_rows

    def answer(self, body: bytes) -> bytes:
        """``{"predictions": […]}`` for a request in one of MLflow's four forms; raises InputError for one that does not fit."""
        document = read_json(body)
        rows = positional(document, self._order)
        answers = None if rows is None else self._predict_row(rows)
        if answers is None:
            answers = self.predict(read_form(document, self.reader))
        return b'{"predictions":%b}' % orjson.dumps(answers.tolist())

    def predict_rows(self, rows: list[Any]) -> NDArray[np.float32]:
        """Answers for rows in signature order; raises InputError."""
        answers = self._predict_row(rows)
        return self.predict(self.reader.rows(rows)) if answers is None else answers

    def _predict_row(self, rows: list[Any]) -> NDArray[np.float32] | None:
        """The answer to one row of plain numbers; None when it is more than that, or less."""
        block = self.reader.block(rows)
        if block is None:
            return None
        if self._direct:
            return self.predictor.run(block.astype(np.float32, copy=False))
        return self.predict(dict(zip(self._order, block.T.astype(np.float64, copy=False), strict=True)))

    def predict(self, columns: Columns) -> NDArray[np.float32]:
        """Answers for columns that the reader made."""
        return self.predictor.predict(columns)

    @property
    def metadata(self) -> dict[str, Any]:
        """Name, version, digest, signature and the facts that were published with it."""
        return {
            "name": self.name,
            "version": self.version,
            "uid": f"{self.name}:{self.version}",
            "digest": self.bundle.digest,
            "signature": self.bundle.signature.to_json(),
            "facts": dict(self.bundle.facts),
        }

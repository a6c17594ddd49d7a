"""A web server for each test."""

from collections.abc import Iterator

import pytest

from tests.web import Web, serve


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running

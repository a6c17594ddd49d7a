"""A web server, and a clientele that may reach it."""

from collections.abc import Iterator

import pytest

from tests.web import Web, serve


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        yield running

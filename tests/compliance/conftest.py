from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compliance.faulty_node import Node, Reading
from tests.compliance.web_server import answering


@pytest.fixture
def faulty() -> Iterator[Reading]:
    """A node that does not fail yet."""
    node = Node()
    with answering(node) as url:
        yield Reading(node, url)

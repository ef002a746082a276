from datetime import UTC, datetime

import pytest


@pytest.fixture
def instant():
    return datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

"""A running house for a test's coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.house import House, Ultravox, serving, ultravox_at


@pytest.fixture
def scene(tmp_path: Path) -> Callable[[Callable[[House, Ultravox], Awaitable[None]]], None]:
    """Run a test's coroutine with a house and its Ultravox."""

    def run(play: Callable[[House, Ultravox], Awaitable[None]], **more: Any) -> None:
        async def main() -> None:
            async with (
                ultravox_at(more.pop("peer", None) or Ultravox()) as peer,
                serving(tmp_path, peer, **more) as house,
            ):
                await play(house, peer)

        asyncio.run(asyncio.wait_for(main(), 40))

    return run

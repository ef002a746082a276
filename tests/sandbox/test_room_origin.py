"""Clients in a browser: another origin may read why it was not let in, or that the newer way is not there."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from support.stage import make_world, serving

from uvcall.sandbox import room


@pytest.mark.parametrize(("path", "status"), [("/rtc/v1/validate", 404), ("/rtc/validate", 401)])
def test_another_origin_may_read_the_answer(path, status):
    async def ask():
        at_home = {"Origin": "http://127.0.0.1:1"}
        async with (
            serving(room.routes(make_world())) as base,
            aiohttp.ClientSession(headers=at_home) as http,
            http.get(base + path) as answer,
        ):
            return answer.status, answer.headers.get("Access-Control-Allow-Origin")

    assert asyncio.run(ask()) == (status, "*")

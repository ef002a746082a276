"""A caller with a world of its own, who rings a webhook from this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from uvcall.errors import UsageError
from uvcall.sandbox import credentials, media
from uvcall.sandbox.app import listening, new_world
from uvcall.sandbox.callbacks import Messenger
from uvcall.sandbox.exchange import Exchange
from uvcall.sandbox.rest import is_web_url
from uvcall.sandbox.ring_call import Caller, Rung, checked
from uvcall.sandbox.ring_life import ring_in
from uvcall.sandbox.world import Options


def ring(
    options: Options,
    caller: Caller,
    *,
    key: str | None = None,
    public_base: str = "",
    listener: Callable[[dict[str, Any]], None] | None = None,
) -> Rung:
    """Ring a webhook from a world of its own and stay until the call is over.

    Args:
        options: How that world behaves. With `call_control` it listens on `port`, for the webhook's commands.
        caller: Who rings, and how.
        key: What signs, in place of the sandbox's own; Telnyx: the private seed, base64.
        public_base: The address by which the carrier knows the webhook's server, when it is not where it listens.
        listener: Told of every event as it happens.

    Raises:
        UsageError: Something that makes no sense, or a URL that leads elsewhere than to this machine.
        LocalError: The port cannot be had.
    """
    caller = checked(caller)
    if public_base and not is_web_url(public_base):
        raise UsageError("--public-url: not a web address", hint="--public-url https://voice.example.com")
    keys = {**credentials.SIGNING_KEYS, **({caller.provider.value: key} if key else {})}
    # Whom a document forwards the call to behaves by number, whatever the caller does.
    world = new_world(replace(options, scenario=None))
    world.history.listener = listener

    async def main() -> Rung:
        messenger = Messenger(world, keys, public_base)
        try:
            if not caller.call_control:
                return await ring_in(Exchange(world, messenger, media.stream), caller)
            async with listening(world, messenger) as exchange:
                return await ring_in(exchange, caller)
        finally:
            running = list(world.tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await messenger.close()

    return asyncio.run(main())

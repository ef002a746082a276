"""The vendors as `reconcile` and `calls` ask them: made when they are first needed."""

from __future__ import annotations

from functools import cache

from uvcall.calls.lookup import OpenLine, Reports, Vendors
from uvcall.cli.context import Context
from uvcall.core.carrier import Provider
from uvcall.core.settings import Settings


def vendors(context: Context) -> Vendors:
    """Return whom to ask, by this run's settings."""

    @cache
    def settings() -> Settings:
        return context.settings()

    @cache
    def line(provider: Provider) -> OpenLine:
        return context.line(settings(), provider)

    @cache
    def agents() -> Reports:
        return context.ultravox(settings())

    return Vendors(line, agents)

"""Heavy libraries, imported without what no command uses: the one place for the tricks that make imports cheap."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the garbage collector away while modules are imported: they make much and drop nothing.

    Takes a quarter to two fifths off the import of an SDK. The collector is switched on again only if it was on.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def quiet(*names: str) -> None:
    """Let these loggers say no more than warnings: they would print URLs. `logging` itself is imported late, too."""
    import logging

    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)


def load_httpx() -> Any:
    """Import httpx without its command line, which would import click and Rich.

    httpx itself does without them where they are not installed; `None` in `sys.modules` is Python's own sign for that.
    """
    loaded = sys.modules.get("httpx")
    if loaded is not None:
        return loaded
    absent = "httpx._main"
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules[absent] = None
    try:
        with undisturbed():
            return import_module("httpx")
    finally:
        if modules.get(absent, absent) is None:
            del modules[absent]


def httpx_words(error: BaseException) -> str:
    """Return in a few words why a request failed, from the class of httpx's error; empty for any other error."""
    httpx = load_httpx()
    words = (
        (httpx.ConnectTimeout, "no connection in time"),
        (httpx.ProxyError, "the proxy cannot be used"),
        (httpx.ConnectError, "no connection"),
        (httpx.TimeoutException, "no answer in time"),
        (httpx.RemoteProtocolError, "the answer broke off"),
        (httpx.InvalidURL, "the base URL is not valid"),
        (httpx.UnsupportedProtocol, "the base URL is not valid"),
        (httpx.TransportError, "the connection was lost"),
    )
    return next((text for kind, text in words if isinstance(error, kind)), "")


#: Parts of phonenumbers that its package imports for everybody, though only typing and searching text need them; they
#: take two thirds of its import. https://github.com/daviddrysdale/python-phonenumbers
_PHONENUMBERS_REST: Final = {
    "phonenumbers.asyoutypeformatter": ("AsYouTypeFormatter",),
    "phonenumbers.phonenumbermatcher": ("PhoneNumberMatch", "PhoneNumberMatcher", "Leniency"),
}


def load_phonenumbers() -> Any:
    """Import phonenumbers without the parts that no command uses; whole, where its layout is another one."""
    loaded = sys.modules.get("phonenumbers")
    if loaded is not None:
        return loaded
    for name, attributes in _PHONENUMBERS_REST.items():
        empty = ModuleType(name)
        vars(empty).update(dict.fromkeys(attributes))
        sys.modules[name] = empty
    try:
        with undisturbed():
            return import_module("phonenumbers")
    except ImportError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "phonenumbers"]:
            del sys.modules[name]
        return import_module("phonenumbers")
    finally:
        # Whoever wants them by name gets the real ones.
        for name, attributes in _PHONENUMBERS_REST.items():
            if name in sys.modules and all(getattr(sys.modules[name], each, 0) is None for each in attributes):
                del sys.modules[name]


def tls_context(*, needed: bool) -> Any:
    """Return the TLS settings for a client: certificates are always checked, and read as late as can be.

    A directory of hashed certificates costs nothing until a handshake looks one up; a bundle is parsed whole, and
    certifi's takes longer than all the rest of a client's making. `SSL_CERT_FILE` and `SSL_CERT_DIR` count.

    Args:
        needed: False for plain http to loopback: the context then trusts nobody.
    """
    import ssl
    from pathlib import Path

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not needed:
        return context
    places = ssl.get_default_verify_paths()
    if places.cafile and places.cafile != places.openssl_cafile:
        context.load_verify_locations(cafile=places.cafile)
    elif places.capath and any(Path(places.capath).glob("*.0")):
        context.load_verify_locations(capath=places.capath)
    elif places.cafile:
        context.load_verify_locations(cafile=places.cafile)
    else:
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    return context

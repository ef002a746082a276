"""The configuration file and the keyring: read with suspicion, written whole or not at all.

A file that holds a secret must be the user's own, a plain file, and closed to everybody else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from uvcall.cli.files import open_regular
from uvcall.core.secret import Secret
from uvcall.core.settings import KEYRING_MARK, SCHEMA
from uvcall.errors import AuthError, ConfigError, LocalError

LIMIT: Final = 1024 * 1024
_SERVICE: Final = "uvcall"


def default_path() -> Path:
    """Return where the configuration file lies unless the user says otherwise."""
    from platformdirs import user_config_path

    return user_config_path("uvcall", appauthor=False) / "config.toml"


def read(path: Path, *, must_exist: bool = False) -> dict[str, Any]:
    """Return the parsed file, empty when it is not there.

    Raises:
        ConfigError: It is missing though named, or not a readable TOML file.
        AuthError: It holds a secret and is open to others, somebody else's, or a symbolic link.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"there is no configuration file {path}", hint="uvcall config init makes one") from None
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    if file is None:
        raise ConfigError(f"{path} is not a regular file", hint="point --config or UVCALL_CONFIG to a file")
    with file:
        status = os.fstat(file.fileno())
        content = file.read(LIMIT + 1)
    table = _parse(content, path)
    if any(True for _ in _secrets(table)):
        _refuse_open(path, status)
    return table


def change(path: Path, values: Mapping[str, object], *, profile: str | None = None) -> None:
    """Set settings in the file, or remove those whose value is None; comments and order stay.

    The new file is complete before it takes the old one's place; it is the user's alone (0600), as is its directory.

    Raises:
        ConfigError: The file is not TOML.
        LocalError: It cannot be written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    read(path)
    target = path.resolve() if path.is_symlink() else path
    try:
        document = tomlkit.parse(target.read_text(encoding="utf-8") if target.exists() else "")
        for name, value in values.items():
            section, _, key = name.rpartition(".")
            steps = (*(("profiles", profile) if profile else ()), *((section,) if section else ()))
            _put(document, steps, key, value)
        text = tomlkit.dumps(document)
    except (TOMLKitError, TypeError) as error:
        raise ConfigError(f"{path} cannot be changed: {error}", hint="mend it in an editor") from error
    except OSError as error:
        raise LocalError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions and the disk"
        ) from error
    if path.is_symlink() and any(True for _ in _secrets(document.unwrap())):
        raise AuthError(f"{path} is a symbolic link; a secret goes only into a file of its own", hint=_LINK_HINT)
    write_private(target, text.encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only the user can read, in one step.

    Raises:
        LocalError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # of a process of this number that was killed: in a container, the same again
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise LocalError(
            f"{path} cannot be written: {error.strerror}", hint="check the directory, its permissions and the disk"
        ) from error


def _sync(folder: Path) -> None:
    """Make a name in this directory outlast a power cut; not every file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def vault(entry: str) -> str | None:
    """Return a secret from the operating system's keyring, or None.

    Raises:
        AuthError: The keyring package is missing or does not work here.
    """
    try:
        import keyring

        secret: str | None = keyring.get_password(_SERVICE, entry)
    except ImportError as error:
        raise AuthError(
            "a secret lies in the keyring, and the keyring package is not installed",
            hint="pip install 'uvcall[keyring]', or set the environment variable",
        ) from error
    except Exception as error:
        # Backends raise what they like: KeyringError, D-Bus errors, RuntimeError.
        raise AuthError(
            f"the keyring cannot be opened: {type(error).__name__}", hint="unlock it, or set the environment variable"
        ) from error
    return secret


def store(path: Path, name: str, secret: Secret, *, profile: str | None = None) -> str:
    """Put a secret where it is safest and return what the file should hold: a keyring mark, or the secret itself."""
    entry = _entry(path, name, profile)
    try:
        import keyring

        # The `fail` and `null` backends have no positive priority: they keep nothing.
        if keyring.get_keyring().priority > 0:
            keyring.set_password(_SERVICE, entry, secret.reveal())
            if keyring.get_password(_SERVICE, entry) == secret.reveal():
                return KEYRING_MARK + entry
    except Exception:  # noqa: BLE001 - no keyring, or one that does not work: the file is the way then
        return secret.reveal()
    return secret.reveal()


def forget(value: object) -> None:
    """Remove the keyring entry that a mark in the file names, if it is one and is there."""
    if isinstance(value, str) and value.startswith(KEYRING_MARK):
        with suppress(Exception):
            import keyring

            keyring.delete_password(_SERVICE, value.removeprefix(KEYRING_MARK))


def held(table: Mapping[str, Any], name: str, profile: str | None) -> object:
    """Return what the file itself has under a setting's name, None when nothing."""
    base: Any = table.get("profiles", {}).get(profile, {}) if profile else table
    section, _, key = name.rpartition(".")
    inner = base.get(section, {}) if section and isinstance(base, Mapping) else base
    return inner.get(key) if isinstance(inner, Mapping) else None


_LINK_HINT: Final = "point UVCALL_CONFIG to the file itself, or keep the secret in the environment"


def _entry(path: Path, name: str, profile: str | None) -> str:
    """Name a keyring entry so that two files, and two profiles, never share one."""
    import hashlib

    place = "" if path == default_path() else hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12] + "/"
    return place + (f"{profile}/" if profile else "") + name


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    import tomllib

    if len(content) > LIMIT:
        raise ConfigError(f"{path} is longer than {LIMIT:,} bytes", hint="is it the right file?")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: byte {error.start + 1}", hint="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        # The parser's words end in "(at line 1, column 5)" and quote at most a key, never a value.
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend that line") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply", hint="mend it in an editor") from error
    except ValueError as error:
        raise ConfigError(
            f"{path} holds a number or a date that nothing can hold", hint="mend it in an editor"
        ) from error


def _secrets(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the secrets that lie in the file itself."""
    profiles = table.get("profiles", {})
    tables = [table, *(profiles.values() if isinstance(profiles, Mapping) else ())]
    for each in tables:
        for name, key in SCHEMA.items():
            value = held(each, name, None) if key.secret and isinstance(each, Mapping) else None
            if value and not str(value).startswith(KEYRING_MARK):
                yield name


def _refuse_open(path: Path, status: os.stat_result) -> None:
    import shlex

    if os.name != "posix":
        return
    if path.is_symlink():
        raise AuthError(f"{path} holds a secret and is a symbolic link", hint=_LINK_HINT)
    if status.st_uid != os.geteuid():
        raise AuthError(f"{path} holds a secret and belongs to another user", hint="make a file of your own")
    if status.st_mode & 0o077:
        raise AuthError(f"{path} holds a secret and others can read it", hint=f"chmod 600 {shlex.quote(str(path))}")


def _put(document: Any, steps: tuple[str, ...], key: str, value: object) -> None:
    import tomlkit

    table = document
    for index, step in enumerate(steps):
        if step not in table:
            if value is None:
                return
            table.add(step, tomlkit.table(is_super_table=index < len(steps) - 1))
        table = table[step]
        if not isinstance(table, Mapping):
            raise TypeError(f"{step} is not a table")
    if value is None:
        if key in table:
            table.remove(key)
    else:
        table[key] = value

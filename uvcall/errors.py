"""Every error that uvcall raises on purpose, with its exit code.

    UvcallError
    ├── UsageError          2   a bad argument or input file; nobody was contacted
    ├── PolicyRefused       3   uvcall's own rules forbid the call
    ├── AuthError           4   a credential is wrong, missing, or lies open on disk
    ├── ProviderRefused     5   a vendor refused, definitely
    │   └── ContractBroken  5   a vendor answered something that its own documents do not allow
    ├── ConfigError         6   a setting is missing or invalid
    ├── LocalError          7   journal, lock, disk, port or device
    ├── FateUnknown        20   a request that may have placed a call was sent, and its answer is not known
    └── Temporary          75   nothing was placed; the same command may be run again

    Interrupted       130/143   a signal ended the command; apart, so that no `except UvcallError` swallows it

What a failed *create* means for the phone is read from the class alone: `FateUnknown` may ring, everything
else does not. `Temporary` covers both "not sent" and "refused for now" (429); `ProviderRefused` and `AuthError`
are refusals.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Placed = Literal["yes", "no", "unknown"]


class UvcallError(Exception):
    """Something that the user can be told in one line.

    Args:
        message: What happened and where, one line, already free of secrets.
        hint: How to mend it, one line; may be empty.
        vendor_code: The vendor's own error code, verbatim.
        status: The HTTP status of the vendor's answer.
        retry_after: Seconds that the vendor asked to wait.
        peer: Who said it: `ultravox`, `telnyx`, `twilio`, `plivo`, or empty for uvcall itself.
    """

    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 1
    placed: ClassVar[Placed] = "no"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        vendor_code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        peer: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.vendor_code = vendor_code
        self.status = status
        self.retry_after = retry_after
        self.peer = peer


class UsageError(UvcallError):
    """A bad argument or input file. Nobody was contacted."""

    code = "usage"
    exit_code = 2


class PolicyRefused(UvcallError):
    """uvcall's own rules forbid this call."""

    code = "policy_refused"
    exit_code = 3


class AuthError(UvcallError):
    """A credential is wrong, missing, or stored where others can read it."""

    code = "auth_error"
    exit_code = 4


class ProviderRefused(UvcallError):
    """A vendor refused, definitely: nothing was placed."""

    code = "provider_refused"
    exit_code = 5


class ContractBroken(ProviderRefused):
    """A vendor answered something that its own documents do not allow."""


class ConfigError(UvcallError):
    """A setting is missing or invalid."""

    code = "config_error"
    exit_code = 6


class LocalError(UvcallError):
    """This machine is in the way: journal, lock, disk, port or device."""

    code = "local_error"
    exit_code = 7


class FateUnknown(UvcallError):
    """A request that may have placed a call was sent and its answer is not known. Never send it again."""

    code = "unknown"
    exit_code = 20
    placed: ClassVar[Placed] = "unknown"


class Temporary(UvcallError):
    """Nothing was placed and the same command may be run again: not sent at all, or refused for now (429)."""

    code = "temporary"
    exit_code = 75
    retryable = True


class Interrupted(Exception):
    """A signal ended the command.

    Args:
        signum: The signal's number; the exit code is 128 more.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by signal {signum}")
        self.signum = signum


#: The classes above that end a command, in the order of their exit codes.
EXPECTED: tuple[type[UvcallError], ...] = (
    UsageError,
    PolicyRefused,
    AuthError,
    ProviderRefused,
    ContractBroken,
    ConfigError,
    LocalError,
    FateUnknown,
    Temporary,
)

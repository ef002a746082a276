"""Credentials, numbers and ids that work in the sandbox and nowhere else, and look it."""

from __future__ import annotations

from typing import Final

ULTRAVOX_API_KEY: Final = "sandbox0." + "FakeKey0" * 4  #: eight characters, a dot, thirty-two
TELNYX_API_KEY: Final = "KEY_sandbox_not_a_real_key"
#: Ed25519: the base64 of the 32 bytes `uvcall sandbox, not a secret 000`, and the public key that belongs to it.
TELNYX_SEED: Final = "dXZjYWxsIHNhbmRib3gsIG5vdCBhIHNlY3JldCAwMDA="
TELNYX_PUBLIC_KEY: Final = "H10Vh6Ts+lLjPKHPDIwnwMxWFWPnEvr0hz8V+j2Kckw="
TELNYX_CONNECTION_ID: Final = "1000000000000000001"
TELNYX_APPLICATION_SID: Final = "1000000000000000002"  #: a TeXML application
TELNYX_ACCOUNT_SID: Final = "5a4d0b0c-0000-4000-8000-000000000000"
TELNYX_PROFILE_ID: Final = "1000000000000000003"  #: the outbound voice profile
TWILIO_ACCOUNT_SID: Final = "AC" + "fa4e" * 8
TWILIO_AUTH_TOKEN: Final = "sandbox-twilio-token-not-a-secret"  # noqa: S105 - as it says
PLIVO_AUTH_ID: Final = "MASANDBOXSANDBOX0000"
PLIVO_AUTH_TOKEN: Final = "sandbox-plivo-token-not-a-secret"  # noqa: S105 - as it says

#: One caller number for each carrier, from the block that is kept for fiction.
TELNYX_FROM: Final = "+12025550197"
TWILIO_FROM: Final = "+12025550198"
PLIVO_FROM: Final = "+12025550196"
#: Every carrier's account owns all of these.
OWNED_NUMBERS: Final = ("+12025550199", TWILIO_FROM, TELNYX_FROM, PLIVO_FROM)

#: What signs the carrier's webhooks.
SIGNING_KEYS: Final = {"telnyx": TELNYX_SEED, "twilio": TWILIO_AUTH_TOKEN, "plivo": PLIVO_AUTH_TOKEN}


def base_urls(root: str) -> dict[str, str]:
    """Return where each peer's API is, as a program's setting would name it."""
    return {"ultravox": root, "telnyx": f"{root}/v2", "twilio": root, "plivo": root}


def environment(root: str) -> dict[str, str]:
    """Return every setting that a program needs to talk to the sandbox at `root`, by environment variable."""
    urls = base_urls(root)
    return {
        "UVCALL_ULTRAVOX_BASE_URL": urls["ultravox"],
        "ULTRAVOX_API_KEY": ULTRAVOX_API_KEY,
        "UVCALL_TELNYX_BASE_URL": urls["telnyx"],
        "TELNYX_BASE_URL": urls["telnyx"],
        "TELNYX_API_KEY": TELNYX_API_KEY,
        "TELNYX_PUBLIC_KEY": TELNYX_PUBLIC_KEY,
        "UVCALL_TELNYX_CONNECTION_ID": TELNYX_CONNECTION_ID,
        "UVCALL_TELNYX_FROM": TELNYX_FROM,
        "UVCALL_TWILIO_BASE_URL": urls["twilio"],
        "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
        "UVCALL_TWILIO_FROM": TWILIO_FROM,
        "UVCALL_PLIVO_BASE_URL": urls["plivo"],
        "PLIVO_AUTH_ID": PLIVO_AUTH_ID,
        "PLIVO_AUTH_TOKEN": PLIVO_AUTH_TOKEN,
        "UVCALL_PLIVO_FROM": PLIVO_FROM,
    }

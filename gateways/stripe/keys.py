"""Checks pasted Stripe keys and secrets, and recognizes what was pasted instead."""

import re
from typing import Final

from errors import InvalidInputError, ModeMismatchError
from models.kinds import Mode

_SECRET_KEY_FORM: Final = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]{6,250}")


_WEBHOOK_SECRET_FORM: Final = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,250}")


def parse_secret_key(text: str, workspace_mode: Mode, *, live_keys_allowed: bool, path: list[str]) -> str:
    """Read a Stripe secret key, without the spaces and quotes that pasting adds.

    Raises:
        InvalidInputError: It is something else; the message says what.
        ModeMismatchError: It is a live key in a test workspace, or the reverse.
    """
    key = _pasted(text)
    if not _SECRET_KEY_FORM.fullmatch(key):
        raise InvalidInputError(_what_instead_of_a_secret_key(key), code="INVALID_SECRET_KEY", path=path)
    mode = Mode.LIVE if key[3:7] == "live" else Mode.TEST
    if mode is Mode.LIVE and not live_keys_allowed:
        raise InvalidInputError(
            "Live keys are refused while FLUXRATE_STRIPE_API_BASE points to another host than Stripe's:"
            " use a test key (sk_test_…).",
            code="LIVE_KEY_REFUSED",
            path=path,
        )
    if mode is not workspace_mode:
        raise ModeMismatchError(
            f"This is a {mode.value.lower()} key, but the workspace is in {workspace_mode.value.lower()} mode for"
            f" good: use a key that begins with sk_{workspace_mode.value.lower()}_, or another workspace.",
            path=path,
        )
    return key


def parse_webhook_secret(text: str, path: list[str]) -> str:
    """Read a webhook signing secret, without the spaces and quotes that pasting adds.

    Raises:
        InvalidInputError: It is something else; the message says what.
    """
    secret = _pasted(text)
    if not _WEBHOOK_SECRET_FORM.fullmatch(secret):
        raise InvalidInputError(_what_instead_of_a_webhook_secret(secret), code="INVALID_WEBHOOK_SECRET", path=path)
    return secret


def _pasted(text: str) -> str:
    return "".join(text.split()).strip("\"'`“”‘’\u200b\ufeff")


def _what_instead_of_a_secret_key(text: str) -> str:
    where = "copy the Secret key (sk_test_… or sk_live_…) from Stripe → Developers → API keys"
    if text.startswith(("pk_test_", "pk_live_")):
        return f"This is the publishable key, which can't create Payment Links: {where}."
    if text.startswith("whsec_"):
        return f"This is a webhook signing secret; it belongs in the Webhook Secret field. Here, {where}."
    if text.startswith(("http://", "https://")):
        return f"This is a URL, not a key: {where}."
    if not text:
        return f"The secret key is empty: {where}."
    if text.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        return f"This is only a part of a secret key, or has characters that no key has: {where}."
    return f"This is not a Stripe secret key: {where}."


def _what_instead_of_a_webhook_secret(text: str) -> str:
    where = "copy the Signing secret (whsec_…) from the endpoint's page under Stripe → Developers → Webhooks"
    if text.startswith(("http://", "https://")):
        return f"This is the endpoint's URL, not its signing secret: {where}."
    if text.startswith(("sk_", "rk_", "pk_")):
        return f"This is an API key, not a signing secret: {where}."
    if text.startswith("we_"):
        return f"This is the endpoint's id, not its signing secret: {where}."
    if not text:
        return f"The webhook secret is empty: {where}."
    return f"This is not a webhook signing secret: {where}."

"""Settings, made once from the environment; only main, parts and the command line import this module."""

import difflib
import ipaddress
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from errors import ConfigurationError

EMBEDDED_DATABASE_URL: Final = "sqlite://var/fluxrate.sqlite3"
EMBEDDED_DATABASE: Final = Path("var/fluxrate.sqlite3")
PREFIX: Final = "FLUXRATE_"
NAMES: Final = (
    "DATABASE_URL",
    "BROADCAST_URL",
    "ENCRYPTION_KEYS",
    "PUBLIC_URL",
    "STRIPE_API_BASE",
    "ALLOWED_ORIGINS",
    "TRUSTED_PROXIES",
    "SYNC_INTERVAL_S",
    "INTROSPECTION",
    "GRAPHIQL",
    "DASHBOARD",
    "TRUSTED_DOCUMENTS",
    "RATE_LIMIT_PER_KEY",
    "RATE_LIMIT_PER_ADDRESS",
)
"""Every setting there is."""

EMBEDDED_KEY: Final = Path("var/encryption.key")
DEFAULT_PUBLIC_URL: Final = "http://127.0.0.1:8000"
DEFAULT_SYNC_INTERVAL_S: Final = 300.0
DEFAULT_RATE_LIMIT: Final[str | None] = "12000/minute"
_STRIPE_HOST: Final = "api.stripe.com"
_DAY_S: Final = 86_400
_NONE: Final[tuple[str, ...]] = ()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of this process. `embedded`: the default database, whose encryption key is made automatically.

    `knows_public_url`: FLUXRATE_PUBLIC_URL is set; otherwise the public URL is the address served. `sync_interval_s`:
    how often Stripe is asked for events that did not arrive; 0 for never. `trusted_documents`: the file of the only
    documents that are answered. Rate limits are like "12000/minute"; None is no limit.
    """

    database_url: str = field(repr=False)
    broadcast_url: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    public_url: str
    knows_public_url: bool
    stripe_api_base: str | None
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    sync_interval_s: float
    introspection: bool
    graphiql: bool
    dashboard: bool
    trusted_documents: Path | None
    rate_limit_per_key: str | None
    rate_limit_per_address: str | None
    embedded: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, *, sealing: bool = True) -> "Settings":
        """Read the FLUXRATE_… variables. Without `sealing` the encryption keys may be missing.

        Raises:
            ConfigurationError: Variables are missing or wrong; one error names all.
        """
        read = _Reader(environ)
        embedded = not read.text("DATABASE_URL")
        keys = read.parsed("ENCRYPTION_KEYS", _encryption_keys, _NONE)
        settings = cls(
            database_url=read.parsed("DATABASE_URL", _database_url, EMBEDDED_DATABASE_URL),
            broadcast_url=read.parsed("BROADCAST_URL", _broadcast_url, "memory://"),
            encryption_keys=keys,
            public_url=read.parsed("PUBLIC_URL", _public_url, DEFAULT_PUBLIC_URL),
            knows_public_url=bool(read.text("PUBLIC_URL")),
            stripe_api_base=read.parsed("STRIPE_API_BASE", _stripe_api_base, None),
            allowed_origins=read.parsed("ALLOWED_ORIGINS", _origins, _NONE),
            trusted_proxies=read.parsed("TRUSTED_PROXIES", _networks, _NONE),
            sync_interval_s=read.parsed("SYNC_INTERVAL_S", _interval_s, DEFAULT_SYNC_INTERVAL_S),
            introspection=read.parsed("INTROSPECTION", _switch, True),
            graphiql=read.parsed("GRAPHIQL", _switch, True),
            dashboard=read.parsed("DASHBOARD", _switch, True),
            trusted_documents=read.parsed("TRUSTED_DOCUMENTS", Path, None),
            rate_limit_per_key=read.parsed("RATE_LIMIT_PER_KEY", _rate, DEFAULT_RATE_LIMIT),
            rate_limit_per_address=read.parsed("RATE_LIMIT_PER_ADDRESS", _rate, DEFAULT_RATE_LIMIT),
            embedded=embedded,
        )
        if sealing and not read.text("ENCRYPTION_KEYS") and not embedded:
            read.problems.append('FLUXRATE_ENCRYPTION_KEYS is missing: generate one with "fluxrate generate-key".')
        read.problems += _unknown_names(environ)
        if read.problems:
            raise ConfigurationError(_in_one_message(read.problems))
        if sealing and not keys:
            return replace(settings, encryption_keys=embedded_keys())
        return settings


_BY_KUBERNETES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$")
"""Variables that Kubernetes gives a container beside a Service whose name begins with "fluxrate"."""


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Report unknown names: a mistyped one would be ignored, and perhaps the wrong database served."""
    names = [f"{PREFIX}{name}" for name in NAMES]
    problems = []
    for name in sorted(set(environ) - set(names)):
        if name.startswith(PREFIX) and not _BY_KUBERNETES.search(name):
            close = difflib.get_close_matches(name, names, n=1)
            meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}."
            problems.append(f"{name} is no setting of Fluxrate: {meant}")
    return problems


def _in_one_message(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n".join([f"{len(problems)} settings must be fixed:", *(f"- {problem}" for problem in problems)])


class _Reader:
    """Reads variables and collects what is wrong with them; an empty one counts as missing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return self._environ.get(f"{PREFIX}{name}", "").strip()

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        text = self.text(name)
        if not text:
            return default
        try:
            return parse(text)
        except ConfigurationError as error:
            self.problems.append(error.message)
        except ValueError as error:
            self.problems.append(f"FLUXRATE_{name} {error}.")
        return default


# --- Parsing ---------------------------------------------------------------------------------------------------


def _database_url(text: str) -> str:
    from database.dialect import dialect_of, sqlite_path  # Tortoise takes its time

    if dialect_of(text) == "sqlite":
        sqlite_path(text)
    else:
        _split(text)
    return text


def _broadcast_url(text: str) -> str:
    if text == "memory://":
        return text
    parts = _split(text)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError('must be "memory://" or a "redis://HOST:PORT" or "rediss://HOST:PORT" URL')
    return text


def _encryption_keys(text: str) -> tuple[str, ...]:
    from models.secret import Keyring

    keys = tuple(_listed(text))
    Keyring.parse(keys)
    return keys


def _public_url(text: str) -> str:
    return _origin(
        text, 'must be the URL that Stripe reaches this server by, without a path, like "https://pay.example.com"'
    )


def _stripe_api_base(text: str) -> str | None:
    base = _origin(text, 'must be a URL without a path, like "http://127.0.0.1:12111"')
    parts = urlsplit(base)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must be on this machine (127.0.0.1) or https")
    return None if parts.hostname == _STRIPE_HOST else base


def _origins(text: str) -> tuple[str, ...]:
    wanted = 'must list origins like "https://app.example.com", separated by commas'
    return tuple(_origin(origin, wanted) for origin in _listed(text))


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(network, strict=False)) for network in _listed(text))
    except ValueError:
        raise ValueError('must list IP addresses or networks like "10.0.0.0/8", separated by commas') from None


def _interval_s(text: str) -> float:
    if not text.isdecimal() or not text.isascii() or int(text) > _DAY_S:
        raise ValueError(f"must be a whole number of seconds up to {_DAY_S}, or 0 for never")
    return float(text)


def _switch(text: str) -> bool:
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError('must be "on" or "off"')
    return known[text.lower()]


def _rate(text: str) -> str | None:
    if text.lower() in {"0", "off"}:
        return None
    matched = re.fullmatch(r"([1-9][0-9]{0,8}) ?/ ?(second|minute|hour|day)", text)
    if matched is None:
        raise ValueError('must be like "12000/minute" (or second, hour, day), or "off"')
    return "/".join(matched.groups())


def _origin(text: str, wanted: str) -> str:
    """Return the scheme, host and port of an http or https URL, which must have nothing else."""
    parts = _split(text.removesuffix("/"))
    odd = any(character.isspace() or character in "\\*" for character in text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        raise ValueError(wanted)
    origin = f"{parts.scheme}://{parts.netloc.lower()}"
    if "@" in origin or f"{parts.scheme}://{parts.netloc}" != text.removesuffix("/"):
        raise ValueError(wanted)
    return origin


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises when it is none
    except ValueError:
        raise ValueError("is not a URL") from None
    return parts


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _listed(text: str) -> list[str]:
    return [stripped for item in text.split(",") if (stripped := item.strip())]


# --- The embedded database's key -------------------------------------------------------------------------------


def embedded_keys() -> tuple[str, ...]:
    """Return the embedded database's encryption keys. A key is made only before the database exists.

    Raises:
        ConfigurationError: The database exists but its key doesn't, or the key can't be read or made.
    """
    from models.secret import Keyring

    try:
        if not EMBEDDED_KEY.exists():
            if EMBEDDED_DATABASE.exists():
                raise ConfigurationError(
                    f"{EMBEDDED_DATABASE} exists but the key that decrypts its secrets does not: set"
                    f" FLUXRATE_ENCRYPTION_KEYS as it was when the database was made, or restore {EMBEDDED_KEY} from a"
                    " backup."
                )
            _make_embedded_key()
        keys = tuple(_listed(EMBEDDED_KEY.read_text(encoding="ascii")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The encryption key in {EMBEDDED_KEY} can't be read or made ({error}).") from None
    try:
        Keyring.parse(keys)
    except ConfigurationError:
        raise ConfigurationError(
            f"{EMBEDDED_KEY} holds no encryption key (base64 of 32 bytes): restore it from a backup. A new key can't"
            " decrypt the stored secrets."
        ) from None
    return keys


def _make_embedded_key() -> None:
    """Write the key to another file and link it: no process reads half of it, and the first of several to link wins."""
    from models.secret import generate_key

    EMBEDDED_KEY.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    EMBEDDED_KEY.parent.chmod(0o700)
    descriptor, aside = tempfile.mkstemp(dir=EMBEDDED_KEY.parent, prefix=".key-")  # O_EXCL, mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{generate_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, EMBEDDED_KEY)
    finally:
        os.unlink(aside)

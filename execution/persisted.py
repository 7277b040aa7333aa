"""Documents that clients send by id or hash: Apollo's automatic persisted queries, and trusted documents.

Sources: Apollo, "Automatic Persisted Queries"; GraphQL over HTTP, "Persisted Documents" (proposal).
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from graphql import GraphQLError

from errors import ConfigurationError
from execution.documents import refusals_of
from execution.limits import in_our_words
from execution.schema import schema

MAX_KEPT: Final = 1000
MAX_KEPT_BYTES: Final = 8 * 1024 * 1024
_MAX_SHOWN: Final = 20
_PREFIX: Final = "sha256:"


class DocumentRefusedError(GraphQLError):
    """An unknown document id or hash, or a document that isn't allowed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, extensions={"code": code})


class PersistedDocuments:
    """A cache of the documents that clients sent with their hash; every process has its own."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._size = 0

    def text_of(self, asked: Mapping[str, Any]) -> str | None:
        """Return the text of a request's document; None if the request has neither text nor id.

        Raises:
            DocumentRefusedError: The hash is unknown, or is not the text's.
        """
        query: str | None = asked.get("query") or None
        hash_ = named_by(asked)
        if hash_ is None:
            return query
        if query is None:
            return self._known(hash_)
        if _sha256(query) != hash_:
            raise DocumentRefusedError(
                "PERSISTED_QUERY_HASH_MISMATCH",
                "The sha256Hash is not that of the query: send the SHA-256 of its text in UTF-8, in lower-case hex.",
            )
        if hash_ not in self._kept and not _refusals(query):
            self._keep(hash_, query)
        return query

    def _known(self, hash_: str) -> str:
        text = self._kept.get(hash_)
        if text is None:
            raise DocumentRefusedError("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        self._kept.move_to_end(hash_)
        return text

    def _keep(self, hash_: str, text: str) -> None:
        self._kept[hash_] = text
        self._size += len(text.encode())
        while len(self._kept) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.encode())


class TrustedDocuments:
    """The only documents that are answered, by id, hash or exact text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {_sha256(text): text for text in texts.values()} | dict(texts)
        self._trusted = frozenset(texts.values())

    def text_of(self, asked: Mapping[str, Any]) -> str | None:
        """Return the text of a request's document; None if the request has neither text nor id.

        Raises:
            DocumentRefusedError: It is not one of these.
        """
        query, name = asked.get("query") or None, named_by(asked)
        text = query if name is None else self._texts.get(name)
        if text is None and name is None:
            return None
        if text not in self._trusted or query not in {None, text}:
            raise DocumentRefusedError(
                "DOCUMENT_NOT_TRUSTED",
                "This server answers trusted documents only, and this is none of them: ask its operator to add it to"
                " the file of FLUXRATE_TRUSTED_DOCUMENTS.",
            )
        return text


def named_by(asked: Mapping[str, Any]) -> str | None:
    """Return the id or hash with which a request names its document; None if it has none.

    Raises:
        DocumentRefusedError: The id has no valid form.
    """
    if (document_id := asked.get("documentId")) is not None:
        if not isinstance(document_id, str) or not document_id:
            raise DocumentRefusedError("BAD_REQUEST", '"documentId" must be a string, like "sha256:…".')
        return document_id.removeprefix(_PREFIX)
    extensions = asked.get("extensions")
    named = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if named is None:
        return None
    if not isinstance(named, dict) or named.get("version") != 1 or not isinstance(named.get("sha256Hash"), str):
        raise DocumentRefusedError(
            "PERSISTED_QUERY_NOT_SUPPORTED",
            'extensions.persistedQuery must be {"version": 1, "sha256Hash": "…"}.',
        )
    return str(named["sha256Hash"])


def documents_of(trusted: Path | None) -> PersistedDocuments | TrustedDocuments:
    """Make the set of allowed documents: those of a file, or all.

    Raises:
        ConfigurationError: The file can't be read, or documents in it can't be executed.
    """
    return PersistedDocuments() if trusted is None else read_trusted(trusted)


def read_trusted(path: Path) -> TrustedDocuments:
    """Read the trusted documents in a file, each of which must be executable.

    Raises:
        ConfigurationError: It can't be read, or documents in it can't be executed; one error names all.
    """
    try:
        texts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The trusted documents in {path} can't be read: {error}.") from None
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ConfigurationError(f'{path} must be a JSON object of documents by their ids: {{"id": "query …"}}.')
    wrong = [f"- {name}: {errors[0].message}" for name, text in texts.items() if (errors := _refusals(text))]
    if wrong:
        more = [f"- and {len(wrong) - _MAX_SHOWN} more"] if len(wrong) > _MAX_SHOWN else []
        told = "\n".join(wrong[:_MAX_SHOWN] + more)
        raise ConfigurationError(f"{path} holds documents that this server can't execute:\n{told}")
    return TrustedDocuments(texts)


def _refusals(text: str) -> list[GraphQLError]:
    return [in_our_words(error) for error in refusals_of(text, schema._schema)]


def _sha256(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()

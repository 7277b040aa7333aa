"""What is searched: the texts of customers and invoices, with an index of every three characters in a row.

Triggers keep it in the transaction that changes a text, so whatever writes is found. A payment changes no text of its
invoice: it writes nothing here.
"""

# ruff: noqa: S608  (the names are written here)

from collections.abc import Iterator
from typing import Final, NamedTuple

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class _Searched(NamedTuple):
    """A table, and its columns that are searched. `{row}` stands for a row."""

    table: str
    texts: str
    search: str
    columns: tuple[str, ...]

    def text(self, row: str) -> str:
        """A row's texts as one, a line each."""
        return " || char(10) || ".join(f"coalesce({row}.{column}, '')" for column in self.columns)

    def changed(self, differs: str) -> str:
        """The condition that an update changes a text."""
        return " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in self.columns)


_SEARCHED: Final = (
    _Searched("customers", "customer_texts", "customer_search", ("name", "email", "external_id")),
    _Searched("invoices", "invoice_texts", "invoice_search", ("number", "memo")),
)


def _tables() -> Iterator[str]:
    for each in _SEARCHED:
        yield (
            f"CREATE TABLE {each.texts} (number {{SERIAL}} PRIMARY KEY, id TEXT NOT NULL,"
            f" workspace_id TEXT NOT NULL, text TEXT NOT NULL) {{STRICT}}"
        )
        yield f"CREATE UNIQUE INDEX {each.texts}_by_id ON {each.texts} (id)"


# --- SQLite ----------------------------------------------------------------------------------------------------

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def _first_number(workspace_id: str) -> str:
    """Where a workspace's numbers begin: they stand together, so that no other workspace's are looked through.

    By the last letters of its id, which are random; two workspaces that have them in common share their numbers.
    """
    places = [
        f"instr('{_LETTERS}', substr({workspace_id}, {place}, 1)) * {32 ** (-place - 1)}" for place in range(-4, 0)
    ]
    return f"(({' + '.join(places)}) << 40)"


def _on_sqlite() -> Iterator[str]:
    for each in _SEARCHED:
        yield (
            f"CREATE VIRTUAL TABLE {each.search} USING fts5"
            f" (text, content='{each.texts}', content_rowid='number', tokenize='trigram')"
        )
        first = _first_number("t.workspace_id")
        yield (
            f"INSERT INTO {each.texts} (number, id, workspace_id, text) SELECT"
            f" {first} + row_number() OVER (PARTITION BY {first} ORDER BY t.id), t.id, t.workspace_id, {each.text('t')}"
            f" FROM {each.table} t"
        )
        yield f"INSERT INTO {each.search} ({each.search}) VALUES ('rebuild')"
        yield from _sqlite_triggers(each)


def _sqlite_triggers(each: _Searched) -> Iterator[str]:
    search, texts, name = each.search, each.texts, f"{each.table}_searched"
    gone = f"INSERT INTO {search} ({search}, rowid, text) VALUES ('delete', OLD.number, OLD.text)"
    come = f"INSERT INTO {search} (rowid, text) VALUES (NEW.number, NEW.text)"
    yield f"CREATE TRIGGER {texts}_new AFTER INSERT ON {texts} BEGIN {come}; END"
    yield f"CREATE TRIGGER {texts}_gone AFTER DELETE ON {texts} BEGIN {gone}; END"
    yield f"CREATE TRIGGER {texts}_changed AFTER UPDATE OF text ON {texts} BEGIN {gone}; {come}; END"
    first = _first_number("NEW.workspace_id")
    newest = (
        f"SELECT number FROM {texts} WHERE number > {first} AND number < {first} + (1 << 40)"
        " ORDER BY number DESC LIMIT 1"
    )
    yield (
        f"CREATE TRIGGER {name}_new AFTER INSERT ON {each.table} BEGIN"
        f" INSERT INTO {texts} (number, id, workspace_id, text)"
        f" VALUES (coalesce(({newest}), {first}) + 1, NEW.id, NEW.workspace_id, {each.text('NEW')}); END"
    )
    yield f"CREATE TRIGGER {name}_gone AFTER DELETE ON {each.table} BEGIN DELETE FROM {texts} WHERE id = OLD.id; END"
    yield (
        f"CREATE TRIGGER {name}_changed AFTER UPDATE OF {', '.join(each.columns)} ON {each.table}"
        f" WHEN {each.changed('IS NOT')} BEGIN UPDATE {texts} SET text = {each.text('NEW')} WHERE id = NEW.id; END"
    )


# --- PostgreSQL ------------------------------------------------------------------------------------------------

_GRAMS: Final = """
    CREATE FUNCTION search_grams(workspace_id TEXT, content TEXT) RETURNS BIGINT[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
        DECLARE
            folded TEXT := upper(content);
            owner BIGINT := hashtextextended(workspace_id, 0);
            grams BIGINT[] := ARRAY[]::BIGINT[];
        BEGIN
            FOR place IN 1 .. length(folded) - 2 LOOP
                grams := grams || hashtextextended(substr(folded, place, 3), owner);
            END LOOP;
            RETURN grams;
        END
    $$
"""
"""Every three characters in a row of a text, each with whose text it is: nobody's index entries lie among another's.

pg_trgm leaves out what is no letter or digit of the database's locale, and is an extension, which not everybody may
create.
"""


def _on_postgres() -> Iterator[str]:
    yield _GRAMS
    for each in _SEARCHED:
        text = each.text("{row}").replace("char(10)", "chr(10)")
        yield (
            f"INSERT INTO {each.texts} (id, workspace_id, text) SELECT t.id, t.workspace_id, {text.format(row='t')}"
            f" FROM {each.table} t ORDER BY t.id"
        )
        yield (
            f"CREATE INDEX {each.search} ON {each.texts} USING gin (search_grams(workspace_id, text))"
            " WITH (fastupdate = off)"
        )
        yield from _postgres_triggers(each, text.format(row="NEW"))


def _postgres_triggers(each: _Searched, text: str) -> Iterator[str]:
    name = f"{each.table}_searched"
    works = {
        "new": f"INSERT INTO {each.texts} (id, workspace_id, text) VALUES (NEW.id, NEW.workspace_id, {text})",
        "gone": f"DELETE FROM {each.texts} WHERE id = OLD.id",
        "changed": f"UPDATE {each.texts} SET text = {text} WHERE id = NEW.id",
    }
    for when, work in works.items():
        yield (
            f"CREATE FUNCTION {name}_{when}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {work}; RETURN NULL; END $$"
        )
    events = {
        "new": f"INSERT ON {each.table} FOR EACH ROW",
        "gone": f"DELETE ON {each.table} FOR EACH ROW",
        "changed": f"UPDATE OF {', '.join(each.columns)} ON {each.table} FOR EACH ROW"
        f" WHEN ({each.changed('IS DISTINCT FROM')})",
    }
    for when, event in events.items():
        yield f"CREATE TRIGGER {name}_{when} AFTER {event} EXECUTE FUNCTION {name}_{when}()"


class Migration(BaseMigration):
    """The texts, and what finds them."""

    dependencies = [("models", "m0009_times")]
    operations = [Sql(*_tables(), sqlite=tuple(_on_sqlite()), postgres=tuple(_on_postgres()))]

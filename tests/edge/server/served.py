"""What the tests of the server know of the product that is served."""

from dataclasses import dataclass

from tests.world.app import Running


@dataclass(frozen=True)
class Served:
    """A running server, a key of it, and where an integration takes its webhooks."""

    app: Running
    key: str
    webhook_path: str

    @property
    def url(self) -> str:
        return self.app.url

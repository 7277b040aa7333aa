"""An index of payments by integration: one with few payments among many others is listed without a walk."""

from tortoise.migrations.migration import Migration as BaseMigration

from migrations._sql import Sql


class Migration(BaseMigration):
    """Payments of an integration, by their id, as invoices and webhook events have it."""

    dependencies = [("models", "m0018_always")]
    operations = [
        Sql("CREATE INDEX payments_by_integration ON payments (integration_id, id)"),
    ]

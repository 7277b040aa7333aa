"""Customers: who is invoiced."""

from tortoise import fields
from tortoise.models import Model

from database.scope import WorkspaceManager
from models.instant import InstantField


class Customer(Model):
    """A customer of a workspace. `external_id` is the business's own id for it, unique if it is set."""

    id = fields.CharField(primary_key=True, max_length=64)
    workspace_id = fields.CharField(max_length=64)
    name = fields.TextField()
    email = fields.TextField()
    external_id = fields.CharField(max_length=4096, null=True)
    created_at = InstantField()
    updated_at = InstantField()

    class Meta:
        table = "customers"
        manager = WorkspaceManager()

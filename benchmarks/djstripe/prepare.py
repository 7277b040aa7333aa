"""Migrates dj-stripe's database, adds an account and a webhook endpoint, and prints the endpoint's UUID:
`python -m benchmarks.djstripe.prepare SECRET`.
"""

import os
import sys

import django
from django.core.management import call_command


def main(secret: str) -> None:
    """Prepare an empty database."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.djstripe.settings"
    django.setup()
    from django.conf import settings
    from djstripe.models import Account, APIKey, WebhookEndpoint

    call_command("migrate", verbosity=0)
    account = Account.objects.create(id="acct_benchmark", livemode=False)
    APIKey.objects.create(
        type="secret", secret=settings.STRIPE_TEST_SECRET_KEY, livemode=False, djstripe_owner_account=account
    )
    endpoint = WebhookEndpoint.objects.create(
        id="we_benchmark",
        url="https://127.0.0.1/webhooks/stripe",
        secret=secret,
        status="enabled",
        enabled_events=["*"],
        livemode=False,
        djstripe_owner_account=account,
    )
    print(endpoint.djstripe_uuid)


if __name__ == "__main__":
    main(sys.argv[1])

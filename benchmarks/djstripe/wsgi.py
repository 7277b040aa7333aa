"""The application, for a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.djstripe.settings")
application = get_wsgi_application()

from benchmarks.djstripe.stripe_api import install  # noqa: E402  (dj-stripe's models need the application)

install()

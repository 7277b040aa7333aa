"""The settings of a minimal Django project with dj-stripe."""

import os
from typing import Final
from urllib.parse import parse_qs, urlsplit

_url: Final = urlsplit(os.environ["DATABASE_URL"])

SECRET_KEY = "benchmark"  # noqa: S105  (of a throw-away database)
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "djstripe"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
"""Only what sets Content-Length: without it, a connection would close after each answer."""

ROOT_URLCONF = "benchmarks.djstripe.urls"
APPEND_SLASH = False
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.lstrip("/"),
        "USER": _url.username,
        "HOST": parse_qs(_url.query)["host"][0],
        "CONN_MAX_AGE": None,
    }
}

STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = "sk_test_" + 24 * "0"
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"

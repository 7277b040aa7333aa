"""Routes dj-stripe's webhooks below the path that the benchmark posts to."""

from django.urls import include, path

urlpatterns = [path("webhooks/stripe/", include("djstripe.urls", namespace="djstripe"))]

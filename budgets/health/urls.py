"""Addresses of the health pages."""

from django.urls import path

from budgets.health import views

urlpatterns = [
    path("", views.health, name="health"),
    path("live", views.live, name="health-live"),
    # Both spellings, without a redirect: probes of orchestrators do not follow one.
    path("live/", views.live),
]

"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from budgets.dashboard.views import alerts, overview

urlpatterns = [
    path("", overview.show, name="dashboard"),
    path("alerts/", alerts.show, name="alerts"),
    # The admin's own refuses people who are not staff.
    path("sign-out", LogoutView.as_view(next_page="dashboard"), name="sign-out"),
]

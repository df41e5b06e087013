"""Addresses of the dashboard."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from budgets.dashboard import views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("live", views.live, name="dashboard-live"),
    # The admin's own refuses people who are not staff.
    path("sign-out", LogoutView.as_view(next_page="dashboard"), name="sign-out"),
]

"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from budgets.dashboard.views import alerts, brand, campaign, imports, overspend, overview

urlpatterns = [
    path("", overview.show, name="dashboard"),
    path("alerts/", alerts.show, name="alerts"),
    path("brands/<int:brand_id>/", brand.show, name="brand"),
    path("brands/<int:brand_id>/edit/", brand.edit_brand, name="brand-edit"),
    path("brands/<int:brand_id>/switch/", brand.switch, name="brand-switch"),
    path("campaigns/<int:campaign_id>/", campaign.show, name="campaign"),
    path("campaigns/<int:campaign_id>/edit/", brand.edit_campaign, name="campaign-edit"),
    path("campaigns/<int:campaign_id>/switch/", campaign.switch, name="campaign-switch"),
    path("imports/<int:import_id>/", imports.show, name="import"),
    path("overspend/", overspend.show, name="overspend"),
    path("overspend/overspend.csv", overspend.download, name="overspend-sheet"),
    # The admin's own refuses people who are not staff.
    path("sign-out", LogoutView.as_view(next_page="dashboard"), name="sign-out"),
]

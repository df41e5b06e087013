"""Where each page lives. All but health and sign-in ask for a person, the api for a key."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("budgets.dashboard.urls")),
    path("health/", include("budgets.health.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("budgets.api.urls")),
]

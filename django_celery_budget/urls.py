"""Where each page lives. Everything but health and sign-in asks for a signed-in person; the api
asks for a key.
"""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("budgets.dashboard.urls")),
    path("health/", include("budgets.health.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("budgets.api.urls")),
]

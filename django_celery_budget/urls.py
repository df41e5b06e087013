"""Where each page lives.

Health and sign-in are for everybody; the api asks for a key, metrics for a token, and all others for a
person.
"""

from django.contrib import admin
from django.urls import include, path

from budgets.health.views import metrics

urlpatterns = [
    path("", include("budgets.dashboard.urls")),
    path("health/", include("budgets.health.urls")),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("budgets.api.urls")),
]

"""gunicorn's settings: `gunicorn -c python:django_celery_budget.web_server`; its options win."""

import gc
import os
from typing import Any

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_celery_budget.settings")

wsgi_app = "django_celery_budget.wsgi"
host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
worker_class = "gthread"
threads = 4
# A restart must not wait for browsers that keep their connection open.
graceful_timeout = 5
# A socket for remote control that nobody here uses.
control_socket_disable = True
logconfig_dict = settings.LOGGING


def post_worker_init(_worker: Any) -> None:
    """Leave what was loaded at the start out of the search for garbage, which takes 70 ms with it."""
    gc.collect()
    gc.freeze()

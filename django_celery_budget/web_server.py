"""gunicorn's settings: `gunicorn -c python:django_celery_budget.web_server`; its options win."""

import gc
import os
import shutil
import tempfile
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

# Each process counts for itself, in a file that the one which answers /metrics reads. Before any of
# them is started: the library looks for the directory when it is imported.
own_counts = ""
if settings.METRICS_TOKEN and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    own_counts = tempfile.mkdtemp(prefix="budget-guardian-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = own_counts


def on_exit(server: Any) -> None:  # noqa: ARG001  # gunicorn calls it with itself
    """Take the counts along: they begin at nothing with every start, as Prometheus expects."""
    if own_counts:
        shutil.rmtree(own_counts, ignore_errors=True)


def post_worker_init(_worker: Any) -> None:
    """Leave what was loaded at the start out of the search for garbage, which takes 70 ms with it."""
    gc.collect()
    gc.freeze()

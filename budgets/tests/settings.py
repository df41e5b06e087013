"""The product's settings, with what it keeps on disk in a place that ends with the tests."""

import atexit
import os
import shutil
import tempfile

# The test processes that xdist starts inherit the place; the one that made it clears it away.
if "BUDGETS_TEST_DIR" not in os.environ:
    os.environ["BUDGETS_TEST_DIR"] = tempfile.mkdtemp(prefix="budgets-test-")
    atexit.register(shutil.rmtree, os.environ["BUDGETS_TEST_DIR"], ignore_errors=True)
os.environ["BUDGETS_DATA_DIR"] = os.environ["BUDGETS_TEST_DIR"]

from django_celery_budget.settings import *  # noqa: F403  # the directory is made first

# The real one takes a quarter of a second for every sign-in, on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

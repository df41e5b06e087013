"""Programs that tests need and that a machine may lack."""

from __future__ import annotations

import os
import shutil

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PROMTOOL = shutil.which("promtool")

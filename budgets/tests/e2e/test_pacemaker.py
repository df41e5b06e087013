"""`manage.py enforce_budgets --every S`: passes without beat, broker or worker."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from budgets.tests.children import environment, evict, manage, python
from budgets.tests.waiting import PATIENCE, until

LOOK = """
import django; django.setup()
from budgets.models import Brand, Campaign
brand, _ = Brand.objects.get_or_create(name="Aurora", defaults={"daily_budget": 5})
campaign, is_new = Campaign.objects.get_or_create(brand=brand, name="Tents")
print("new" if is_new else campaign.hold or "active")
"""
SPEND = """
import django; django.setup()
from django.utils import timezone
from budgets.models import Campaign, Spend
Spend.objects.create(campaign=Campaign.objects.get(), date=timezone.now().date(), amount=5)
"""
HEALTH = """
import django; django.setup()
from django.utils import timezone
from budgets.health import checks
from budgets.services.access import EVERYTHING
report = checks.examine(timezone.now(), sight=EVERYTHING, ask_workers=False)
print(*(f"{check.key}={check.status}" for check in report.checks))
"""


@pytest.fixture
def house() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        env = environment(Path(home))
        assert manage("migrate", env=env).returncode == 0
        yield env
        evict(Path(home))


def said(code: str, env: dict[str, str]) -> str:
    done = python(code, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_counts_and_pauses_alone_and_ends_in_order(
    house: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    assert said(LOOK, house) == "new"

    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [*command, "enforce_budgets", "--every", "0.2"],
            env={**house, "PYTHONUNBUFFERED": "1"},
            stdout=out,
        ) as pacemaker,
    ):
        until(lambda: said(LOOK, house) == "active")
        said(SPEND, house)
        until(lambda: said(LOOK, house) == "brand_daily_budget")
        assert "passes=ok" in said(HEALTH, house)
        until(lambda: "1 counted" in (tmp_path / "out").read_text(), (tmp_path / "out").read_text)
        pacemaker.send_signal(signal.SIGTERM)
        assert pacemaker.wait(timeout=PATIENCE) == 0

    assert (tmp_path / "out").read_text().endswith("Stopped.\n")


def test_a_round_that_cannot_be_is_refused(house: dict[str, str]) -> None:
    done = manage("enforce_budgets", "--every", "0", env=house)

    assert done.returncode == 2
    assert "'0' is not a number of seconds from 0.01 to 3600" in done.stderr

"""`make screenshots`: the pictures of the README, made from the real thing with the demo agency."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import sync_playwright

from budgets.tests.children import environment, evict
from budgets.tests.e2e.test_up import free_port
from budgets.tests.programs import CHROMIUM
from budgets.tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PASSWORD = "a picture of the demo"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
ROUNDS = "40"
"""Reports of the simulated platform: some brands have then spent their day."""


@contextmanager
def demo() -> Iterator[str]:
    """Serve the demo agency from a database of its own; yield its address."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        port = free_port()
        env = environment(
            Path(home), DJANGO_SUPERUSER_PASSWORD=PASSWORD, PORT=str(port), HOST="127.0.0.1"
        )
        try:
            for words in (
                ("migrate", "--verbosity=0"),
                ("createsuperuser", "--no-input", "--username=ana", "--email=ana@example.com"),
                ("seed_demo",),
                ("enforce_budgets",),
                ("simulate_platform", f"--rounds={ROUNDS}", "--every=0.05"),
            ):
                subprocess.run(
                    [sys.executable, str(ROOT / "manage.py"), *words], env=env, check=True
                )
            serve = ["-m", "gunicorn", "-c", "python:django_celery_budget.web_server"]
            pace = [str(ROOT / "manage.py"), "enforce_budgets", "--every=5"]
            with (
                subprocess.Popen([sys.executable, *serve], env=env, cwd=ROOT) as web,
                subprocess.Popen([sys.executable, *pace], env=env) as pacemaker,
            ):
                address = f"http://127.0.0.1:{port}"
                until(lambda: _answers(f"{address}/health/live"))
                yield address
                web.terminate()
                pacemaker.terminate()
        finally:
            evict(Path(home))


def take(page: Page, address: str, scheme: str) -> None:
    """Take every picture in one colour scheme."""
    page.goto(f"{address}/")
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_load_state("networkidle")
    brand = page.get_by_role("link", name="Harbour Insurance").first.get_attribute("href")
    page.goto(f"{address}{brand}")
    campaign = page.locator("a[href^='/campaigns/']:not([href*='edit'])").first.get_attribute(
        "href"
    )
    for name, path in (
        ("dashboard", "/"),
        ("brand", brand),
        ("campaign", campaign),
        ("overspend", "/overspend/"),
    ):
        page.goto(f"{address}{path}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=DOCS / f"{name}-{scheme}.png")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  # an address of ours
    except OSError:
        return False
    return True


def main() -> None:
    """Take the pictures in both colour schemes."""
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in SCHEMES:
            page = browser.new_page(
                viewport={"width": 1440, "height": 1000}, color_scheme=scheme, locale="en-US"
            )
            take(page, address, scheme)
            page.context.close()
        browser.close()


if __name__ == "__main__":
    main()

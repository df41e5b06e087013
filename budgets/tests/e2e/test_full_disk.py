"""PostgreSQL on a disk that fills up: what is refused, what is seen, and what there is afterwards."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pytest_django import DjangoDbBlocker

from budgets.tests.chaos.servers import Postgres, ServersMissing
from budgets.tests.children import environment
from budgets.tests.e2e.household import METRICS_TOKEN, NOON, Household, from_now, settled
from budgets.tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

SIZE = "256m"
BATCH = 500
TODAY = NOON.date().isoformat()


class Disk:
    """A disk of its own, and what takes up the room on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    # Not in pytest's directory: the server's user may not look into that.
    with TemporaryDirectory(dir="/tmp") as home:
        place = Path(home, "disk")
        place.mkdir()
        Path(home).chmod(0o755)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a small disk cannot be mounted here: only root may, on Linux")
        yield Disk(place)
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def postgres(disk: Disk) -> Iterator[Postgres]:
    try:
        server = Postgres(disk.place / "postgres")
    except ServersMissing as error:
        pytest.skip(str(error))
    yield server
    server.crash()


@pytest.fixture
def household(
    tmp_path: Path, postgres: Postgres, django_db_blocker: DjangoDbBlocker
) -> Iterator[Household]:
    """A web server, and passes every second; there is no broker, which neither needs."""
    postgres.make("budgets")
    variables = {
        "DATABASE_URL": postgres.url("budgets"),
        "METRICS_TOKEN": METRICS_TOKEN,
        "REDIS_URL": "redis://[::1]:1",
    }
    env = environment(tmp_path, **variables)
    env["DJANGO_SETTINGS_MODULE"] = "budgets.tests.e2e.shifted_settings"
    with django_db_blocker.unblock(), settled(tmp_path, env, ahead=from_now(NOON)) as house:
        yield house


def report(address: str, key: str, batch: int) -> tuple[int, dict[str, int]]:
    """Send a batch of events of a hundredth of a cent; return the status and what became of them."""
    events = [
        {"id": f"{batch}-{n} {'x' * 180}", "campaign": 1, "amount": "0.0001", "date": TODAY}
        for n in range(BATCH)
    ]
    body = json.dumps({"source": "s", "events": events})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as asked:
        asked.request("POST", "/api/v1/spend", body, headers)
        answer = asked.getresponse()
        said = json.load(answer)
    return answer.status, said.get("totals", {})


def test_nothing_that_was_acknowledged_is_lost_and_no_hand_is_needed_when_there_is_room(
    household: Household, disk: Disk, postgres: Postgres
) -> None:
    key = household.manage("create_api_key", "ads", "--scope", "spend:write")
    address = household.web()
    household.pacemaker()
    until(lambda: not {"database", "passes"} & household.red(address), household.said)
    statuses = [report(address, key, batch)[0] for batch in range(5)]
    assert statuses == [200] * 5

    disk.fill()
    for batch in range(5, 60):
        statuses.append(report(address, key, batch)[0])
        if statuses[-10:] == [503] * 10:
            break
    # Try again, it says; never that it was recorded, nor that the sender erred.
    assert set(statuses) == {200, 503}

    disk.free()
    if not postgres.is_running:  # which a service manager sees as well
        postgres.start()
    until(lambda: not {"database", "passes"} & household.red(address), household.said)

    [(stored,)] = household.ask("SELECT count(*) FROM budgets_spend")
    assert stored == BATCH * statuses.count(200)
    again = [report(address, key, batch) for batch in range(len(statuses))]
    assert {status for status, _ in again} == {200}
    for before, (_, became) in zip(statuses, again, strict=True):
        assert became["duplicate" if before == 200 else "recorded"] == BATCH
    assert household.ask("SELECT count(*) FROM budgets_spend") == [(BATCH * len(statuses),)]
    assert household.manage("reconcile") == "Totals, states and log belong together."

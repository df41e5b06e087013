"""`make chaos` and `make chaos-selftest`: see `trial`, and `planted` for the bugs it must find."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from budgets.tests.chaos import faults, trial
from budgets.tests.chaos.planted import BUGS
from budgets.tests.chaos.servers import ServersMissing, check_machine
from budgets.tests.chaos.trial import Plan, Servers

SELFTEST_SECONDS = 60.0
"""What a planted bug has to be found in; most are within ten."""


def main() -> int:
    """Run what was asked for; return 1 if anything was violated, or a planted bug stayed unseen."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="of faults; default 120")
    parser.add_argument("--seed", type=int, default=1, help="of faults, money and edits; default 1")
    parser.add_argument("--selftest", action="store_true", help="plant bugs, and see them found")
    parser.add_argument("--bug", choices=BUGS, help="plant this one alone")
    parser.add_argument("--keep", action="store_true", help="keep logs and journals")
    chosen = parser.parse_args()
    try:
        check_machine()
    except ServersMissing as missing:
        print(f"NOT RUN, the chaos trial: {missing}.")
        return 0
    # As Ctrl-C does, so that nothing is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    home.chmod(0o711)  # PostgreSQL may run as another user
    try:
        if chosen.selftest or chosen.bug:
            return _selftest(home, chosen.seed, [chosen.bug] if chosen.bug else list(BUGS))
        return _trial(home, Plan(chosen.seconds, chosen.seed))
    finally:
        if chosen.keep:
            print(f"Logs and journals: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _trial(home: Path, plan: Plan) -> int:
    planned = len(faults.schedule(plan.rng("faults"), plan.seconds))
    print(f"{plan.seconds:.0f} s, seed {plan.seed}, {planned} faults …", flush=True)
    began = time.monotonic()
    with trial.servers_in(home) as servers:
        found = trial.run(plan, servers, home / "trial")
    for line in found.lines():
        print(line)
    verdict = "VIOLATED: " + ", ".join(sorted(found.broken)) if found.broken else "No violation"
    print(f"{verdict}, after {time.monotonic() - began:.0f} s; seed {plan.seed}.")
    return int(bool(found.broken))


def _selftest(home: Path, seed: int, names: list[str]) -> int:
    with trial.servers_in(home) as servers:
        unseen = [name for name in names if not _is_found(name, seed, servers, home)]
    print(f"STAYED GREEN: {', '.join(unseen)}" if unseen else "Every planted bug was found.")
    return int(bool(unseen))


def _is_found(name: str, seed: int, servers: Servers, home: Path) -> bool:
    bug = BUGS[name]
    began = time.monotonic()
    plan = Plan(SELFTEST_SECONDS, seed, bug=name, until_broken=bug.breaks)
    found = trial.run(plan, servers, home / name)
    is_found = bool(bug.breaks & found.broken)
    wanted, seen = (", ".join(sorted(it)) for it in (bug.breaks, found.broken))
    print(
        f"{'found ' if is_found else 'UNSEEN'} {name} ({bug.words}): {wanted} must break; "
        f"broken after {time.monotonic() - began:.0f} s: {seen or 'nothing'}",
        flush=True,
    )
    if not is_found:
        print(*found.lines(), sep="\n", flush=True)
    return is_found


if __name__ == "__main__":
    sys.exit(main())

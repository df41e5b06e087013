"""`make chaos` and `make chaos-selftest`: see `trial`, and `planted` for the bugs it must find."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from budgets.tests.chaos import faults, trial
from budgets.tests.chaos.planted import BUGS
from budgets.tests.chaos.servers import ServersMissing, check_machine
from budgets.tests.chaos.trial import Plan

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
    found = trial.run(plan, trial.set_up(home), home / "trial")
    for line in found.lines():
        print(line)
    verdict = "VIOLATED: " + ", ".join(sorted(found.broken)) if found.broken else "No violation"
    print(f"{verdict}, after {time.monotonic() - began:.0f} s; seed {plan.seed}.")
    return int(bool(found.broken))


def _selftest(home: Path, seed: int, names: list[str]) -> int:
    servers, unseen = trial.set_up(home), []
    for name in names:
        bug = BUGS[name]
        began = time.monotonic()
        plan = Plan(SELFTEST_SECONDS, seed, bug=name, until_broken=bug.breaks)
        found = trial.run(plan, servers, home / name)
        is_seen = bool(bug.breaks & found.broken)
        wanted, seen = (", ".join(sorted(it)) for it in (bug.breaks, found.broken))
        print(
            f"{'found' if is_seen else 'UNSEEN'}  {name} ({bug.words}): {wanted} must break;",
            end=" ",
        )
        print(f"broken after {time.monotonic() - began:.0f} s: {seen or 'nothing'}", flush=True)
        if not is_seen:
            unseen.append(name)
        if not is_seen or found.broken - bug.breaks:
            print(*found.lines(), sep="\n", flush=True)
    print(f"STAYED GREEN: {', '.join(unseen)}" if unseen else "Every planted bug was found.")
    return int(bool(unseen))


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.incidents [--table | --quiet | --seeds]`: tables for README.md and relay/plans/RULES.md.

Deterministic: the same text on every machine. `--quiet` takes a few minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from tests.incidents.book import quiet_lines, scenarios, table_lines
from tests.incidents.quiet import campaigns


def seed_lines() -> Iterator[str]:
    """Give the seed of every course of events."""
    yield from (f"{scenario.seed} {scenario.name}" for scenario in scenarios())
    yield from (f"{campaign.seed} quiet days of {name}" for name, campaign in campaigns().items())


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.incidents", description=__doc__)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--table", action="store_true", help="incidents: how late, what was out, false triggers"
    )
    kinds.add_argument("--quiet", action="store_true", help="quiet days of every ready plan")
    kinds.add_argument("--seeds", action="store_true", help="the seeds that all of it is made from")
    asked = parser.parse_args()
    lines = quiet_lines() if asked.quiet else seed_lines() if asked.seeds else table_lines()
    for line in lines:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

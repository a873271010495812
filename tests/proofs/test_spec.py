"""The list of checks in `proofs/SPEC.md` is the list in the code."""

import re
from pathlib import Path

from proofs.mandate import Mandate

FOLDER = Path(__file__).parents[2] / "proofs"
# Of these a mandate's own name is made in the code: `mandate-` and a field.
MADE = {f"mandate-{name.replace('_', '-')}" for name in Mandate.__dataclass_fields__} - {"mandate-not-after"}
RAISED = re.compile(r'(?:Error|super\(\)\.__init__)\(\s*"([a-z0-9]+(?:-[a-z0-9]+)*)"')


def test_every_check_that_is_raised_is_in_the_specification_and_none_else() -> None:
    raised = {
        name for path in FOLDER.glob("*.py") for name in RAISED.findall(path.read_text(encoding="utf-8"))
    }
    table = (FOLDER / "SPEC.md").read_text(encoding="utf-8").partition("## 11.")[2].partition("## 12.")[0]

    assert len(raised) > 80
    assert raised | MADE == set(re.findall(r"`([^`]+)`", table))

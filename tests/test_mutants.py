"""Every wrong version in `mutants.py` is rejected by the tests of its module."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mutants import MUTANTS

RUNNER = Path(__file__).with_name("mutants.py")


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_every_mutant_is_rejected(module):
    run = subprocess.run(
        [sys.executable, RUNNER, module], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    count = sum(mutant.module == module for mutant in MUTANTS)
    assert run.stdout.count("rejected") == count > 0


def test_each_target_has_three_mutants():
    counts = Counter((mutant.module, mutant.name) for mutant in MUTANTS)
    assert {target: n for target, n in counts.items() if n < 3} == {}


def test_mutants_have_names_of_their_own():
    names = Counter(mutant.wrong.__name__ for mutant in MUTANTS)
    assert max(names.values()) == 1, names.most_common(3)

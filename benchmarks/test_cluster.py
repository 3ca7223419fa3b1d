"""Seeds of an experiment on a Dask cluster: two workers on this machine."""

import os
from pathlib import Path

import pytest
import torch
from distributed import Client, LocalCluster
from joblib import parallel_config

from pgbook.experiments import read_rows, run_seeds

SEED_3_FAILS = pytest.RaisesExc(
    RuntimeError, match="(?s)^run: seed 3: Traceback .*this seed fails"
)


@pytest.fixture(scope="module")
def client():
    """A client of two workers with one thread each."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


def run(seed: int, calls: Path) -> dict[str, float]:
    """Note the call; fail, or say where it ran, with a number that depends on it."""
    with calls.open("a") as file:
        file.write(f"{seed}\n")
    if seed == 3:
        raise OSError("this seed fails")
    rng = torch.Generator().manual_seed(seed)
    return {
        "draw": torch.rand((), generator=rng, dtype=torch.float64),
        "process": os.getpid(),
        "threads": torch.get_num_threads(),
    }


def test_workers_run_what_is_missing_and_a_failure_loses_nothing(client, tmp_path):
    """The rows are those of this process; the next call runs what is missing."""
    path, calls = tmp_path / "toy.csv", tmp_path / "calls"
    with parallel_config(backend="dask"), pytest.RaisesGroup(SEED_3_FAILS):
        run_seeds(run, range(6), path, calls=calls)
    columns = read_rows(path)
    assert columns["seed"] == [0, 1, 2, 4, 5] and columns["threads"] == [1] * 5
    assert set(columns["process"]) <= set(client.run(os.getpid).values())
    here = run_seeds(run, range(3), tmp_path / "here.csv", calls=calls)
    assert here["draw"] == columns["draw"][:3]
    calls.unlink()
    with parallel_config(backend="dask"), pytest.RaisesGroup(SEED_3_FAILS):
        run_seeds(run, range(7), path, calls=calls)
    assert sorted(calls.read_text().split()) == ["3", "6"]
    assert read_rows(path)["seed"] == [0, 1, 2, 4, 5, 6]

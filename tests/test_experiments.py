"""Results files: what is in a row, and which rows survive."""

import csv
import importlib.metadata
import importlib.util
import math
import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from runpy import run_path

import numpy as np
import pytest
import torch
from joblib import parallel_config, register_parallel_backend
from joblib.parallel import ThreadingBackend

import pgbook.statistics
from pgbook.experiments import code_hash, read_rows, rows_where, run_seeds


class Toy:
    """A run that keeps its calls, and can fail."""

    def __init__(self, failing=None, error=RuntimeError):
        self.calls, self.failing, self.error = [], failing, error

    def function(self):
        def run(seed, scale=1.0, **settings):
            self.calls.append(seed)
            if seed == self.failing:
                raise self.error("this seed fails")
            return {"third": scale * seed / 3, "square": seed**2}

        return run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy_run.csv"


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_holds_seed_settings_results_and_origin(path):
    run_seeds(Toy().function(), [4], path, scale=0.5)
    with path.open() as file:
        (row,) = csv.DictReader(file)
    today = datetime.now(UTC).date()
    age = today - datetime.strptime(row.pop("date"), "%Y-%m-%d").date()
    assert 0 <= age.days <= 1
    assert 0 <= float(row.pop("seconds")) < 5
    assert re.fullmatch("[0-9a-f]{16}", row.pop("code"))
    version = importlib.metadata.version
    assert row == {
        "seed": "4",
        "scale": "0.5",
        "third": str(0.5 * 4 / 3),
        "square": "16",
        "python": platform.python_version(),
        "torch": version("torch"),
        "gymnasium": version("gymnasium"),
        "numpy": version("numpy"),
        "command": "python tests/test_experiments.py",
    }


def test_rows_are_read_back_exactly_with_their_types(path):
    columns = run_seeds(Toy().function(), range(3), path, scale=0.1, name="a, b")
    assert columns == read_rows(str(path))
    assert columns["seed"] == [0, 1, 2]
    assert columns["third"] == [0.1 * seed / 3 for seed in range(3)]
    assert columns["square"] == [0, 1, 4]
    assert columns["scale"] == [0.1] * 3
    assert columns["name"] == ["a, b"] * 3
    types = {name: {type(v) for v in values} for name, values in columns.items()}
    assert types["seed"] == types["square"] == {int}
    assert types["third"] == types["scale"] == types["seconds"] == {float}
    assert types["code"] == types["numpy"] == types["command"] == {str}


def results_of_every_kind(seed):
    return {
        "tensor": torch.tensor(0.1, dtype=torch.float64),
        "array": np.float64(0.1),
        "single": np.float32(0.5),
        "count": np.int64(3),
        "solved": True,
        "diverged": float("nan"),
        "largest": torch.tensor(torch.inf),
    }


def test_results_may_be_scalars_of_any_library_and_need_not_be_finite(path):
    columns = run_seeds(results_of_every_kind, [0], path)
    assert [columns[name] for name in ("tensor", "array", "single")] == [
        [0.1],
        [0.1],
        [0.5],
    ]
    assert [columns[name] for name in ("count", "solved")] == [[3], [1]]
    assert math.isnan(columns["diverged"][0]) and columns["largest"] == [math.inf]


def test_finished_seeds_are_skipped(path):
    toy = Toy()
    run_seeds(toy.function(), [0, 2], path)
    before = path.read_text()
    columns = run_seeds(toy.function(), [0, 1, 2], path)
    assert toy.calls == [0, 2, 1]
    assert columns["seed"] == [0, 2, 1]
    assert path.read_text().startswith(before)


def test_other_settings_are_other_rows_of_the_same_file(path):
    toy = Toy()
    for scale in (1.0, 2.0, 1.0):
        columns = run_seeds(toy.function(), [0, 1], path, scale=scale)
    assert toy.calls == [0, 1, 0, 1]
    assert columns["scale"] == [1, 1, 2, 2] and columns["seed"] == [0, 1, 0, 1]


def test_an_interrupt_ends_everything_and_the_finished_seeds_are_kept(path):
    with pytest.raises(KeyboardInterrupt, match="this seed fails"):
        run_seeds(Toy(failing=2, error=KeyboardInterrupt).function(), range(4), path)
    assert read_rows(path)["seed"] == [0, 1]
    toy = Toy()
    assert run_seeds(toy.function(), range(4), path)["seed"] == [0, 1, 2, 3]
    assert toy.calls == [2, 3]


SEED_2_FAILS = pytest.RaisesExc(
    RuntimeError, match="(?s)^run: seed 2: Traceback .*this seed fails"
)


def test_a_failing_seed_is_raised_when_the_others_are_through(path):
    with pytest.RaisesGroup(SEED_2_FAILS, match="^run: failed at 1 of the seeds"):
        run_seeds(Toy(failing=2).function(), range(4), path)
    assert read_rows(path)["seed"] == [0, 1, 3]
    toy = Toy()
    assert run_seeds(toy.function(), range(4), path)["seed"] == [0, 1, 3, 2]
    assert toy.calls == [2]


def test_wrong_results_end_the_call_and_the_finished_seeds_are_kept(path):
    calls = []

    def run(seed):
        calls.append(seed)
        return {"result": "text" if seed == 2 else seed}

    with pytest.raises(ValueError, match="^run: got result = 'text'"):
        run_seeds(run, range(5), path)
    assert calls == [0, 1, 2] and read_rows(path)["seed"] == [0, 1]


class Homesick(Exception):
    """An exception that does not survive the way from another process."""

    def __init__(self, first, second):
        super().__init__(first + second)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def run_elsewhere(seed, file, failing=None):
    """The first seed is through only after the second one is in the file."""
    if seed == 0:
        wait_for(lambda: file.exists() and 1 in read_rows(file)["seed"])
    if seed == failing:
        raise Homesick("this seed ", "fails")
    return {"process": os.getpid(), "threads": torch.get_num_threads()}


def test_seeds_run_in_parallel_are_written_as_they_end_and_ordered_at_last(path):
    with parallel_config(n_jobs=2):
        columns = run_seeds(run_elsewhere, range(4), path, file=path)
    assert columns["seed"] == [0, 1, 2, 3] == read_rows(path)["seed"]
    assert os.getpid() not in columns["process"]
    assert len(set(columns["process"])) == 2 and columns["threads"] == [1] * 4


def test_a_seed_that_fails_in_another_process_loses_nothing_of_the_others(path):
    settings = {"file": path, "failing": 2}
    with parallel_config(n_jobs=2), pytest.RaisesGroup(SEED_2_FAILS):
        run_seeds(run_elsewhere, range(5), path, **settings)
    assert read_rows(path)["seed"] == [0, 1, 3, 4]


class ListingBackend(ThreadingBackend):
    """Hands over lists, as Ray's backend does, and nothing before they are complete."""

    supports_return_generator = False


def test_a_backend_that_returns_lists_gets_the_seeds_in_rounds(path):
    def run(seed):
        return {"rows": len(read_rows(path)["seed"]) if path.exists() else 0}

    register_parallel_backend("lists", ListingBackend)
    with parallel_config(backend="lists", n_jobs=2):
        assert run_seeds(run, range(5), path)["rows"] == [0, 0, 2, 2, 4]


SCRIPT = """
import os
from pathlib import Path
from joblib import parallel_config
from pgbook.experiments import run_seeds

HELPERS = {"parent": lambda: os.getppid()}

def run(seed, scale):
    return {"scaled": scale * seed, "parent": HELPERS["parent"]()}

def main(path):
    with parallel_config(n_jobs=2):
        return run_seeds(run, range(3), path, scale=2)

if __name__ == "__main__":
    main(Path(__file__).with_suffix(".csv"))
"""


@pytest.mark.parametrize("way", ["command", "run_path"])
def test_a_script_runs_its_seeds_in_parallel(tmp_path, way):
    script = tmp_path / "toy_script.py"
    script.write_text(SCRIPT)
    results = script.with_suffix(".csv")
    if way == "command":
        subprocess.run([sys.executable, "-W", "error", script], check=True)
    else:
        run_path(str(script))["main"](results)
    columns = read_rows(results)
    assert columns["seed"] == [0, 1, 2] and columns["scaled"] == [0, 2, 4]
    assert (os.getpid() in columns["parent"]) == (way == "run_path")


def test_a_row_is_in_the_file_as_soon_as_it_is_known(path):
    seen = []

    def run(seed):
        seen.append(read_rows(path)["seed"] if path.exists() else [])
        return {"result": seed}

    run_seeds(run, range(3), path)
    assert seen == [[], [0], [0, 1]]


@pytest.mark.parametrize("lost", [1, 3, 20, 60])
def test_a_row_that_was_cut_off_is_run_again(path, lost):
    run_seeds(Toy().function(), range(3), path)
    text = path.read_text()
    path.write_text(text.removesuffix("\n")[:-lost])
    toy = Toy()
    columns = run_seeds(toy.function(), range(3), path)
    assert toy.calls == [2]
    assert columns["seed"] == [0, 1, 2] and len(set(columns["code"])) == 1


def test_a_row_that_was_cut_off_before_its_end_is_not_read(path):
    run_seeds(Toy().function(), range(3), path)
    path.write_text(path.read_text()[:-60])
    assert read_rows(path)["seed"] == [0, 1]


def test_hashes_and_versions_stay_texts_even_if_they_look_like_numbers(path):
    columns = run_seeds(Toy().function(), [0], path)
    text = path.read_text().replace(columns["code"][0], "1" * 16)
    path.write_text(text.replace(columns["numpy"][0], "2.4"))
    columns = read_rows(path)
    assert columns["code"] == ["1" * 16] and columns["numpy"] == ["2.4"]


def test_a_last_row_without_its_line_end_is_kept(path):
    run_seeds(Toy().function(), range(2), path)
    path.write_text(path.read_text().removesuffix("\n"))
    toy = Toy()
    assert run_seeds(toy.function(), range(3), path)["seed"] == [0, 1, 2]
    assert toy.calls == [2]


def test_rows_of_other_code_are_dropped_before_anything_runs(path, tmp_path):
    source = tmp_path / "helper.py"
    source.write_text("STEP = 1\n")
    toy = Toy()
    old = run_seeds(toy.function(), range(2), path, modules=[load(source)])
    source.write_text("STEP = 2\n")
    with pytest.RaisesGroup(RuntimeError):
        run_seeds(Toy(failing=0).function(), [0], path, modules=[load(source)])
    assert not path.exists()
    new = run_seeds(toy.function(), range(3), path, modules=[load(source)])
    assert toy.calls == [0, 1, 0, 1, 2]
    assert new["seed"] == [0, 1, 2]
    assert len(set(new["code"])) == 1 and not set(new["code"]) & set(old["code"])
    assert [file.name for file in tmp_path.glob("toy_run*")] == ["toy_run.csv"]


def test_rows_of_other_code_do_not_take_those_of_this_code_with_them(path):
    run_seeds(Toy().function(), range(3), path)
    first, *rows = path.read_text().splitlines()
    rows[1] = rows[1][:-16] + 16 * "0"
    path.write_text("\n".join([first, *rows]) + "\n")
    toy = Toy()
    assert run_seeds(toy.function(), range(3), path)["seed"] == [0, 2, 1]
    assert toy.calls == [1]


def test_the_file_that_defines_the_run_belongs_to_its_code(path, tmp_path):
    script = tmp_path / "toy_script.py"
    hashes = []
    for value in (1, 2):
        script.write_text(f"def run(seed):\n    return {{'value': {value}}}\n")
        columns = run_seeds(load_fresh(script).run, [0], path)
        assert columns["value"] == [value]
        assert columns["command"] == ["python toy_script.py"]
        hashes += columns["code"]
    assert hashes[0] != hashes[1]


def load_fresh(file):
    """Import without the cache of compiled code, which looks at whole seconds."""
    namespace = {"__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    return type("Module", (), namespace | {"run": staticmethod(namespace["run"])})


def test_code_hash_depends_on_names_and_code_and_on_nothing_else(tmp_path):
    files = [tmp_path / name for name in ("a.py", "b.py")]
    for file in files:
        file.write_text(f"NAME = '{file.name}'\n")
    a, b = files
    both = code_hash(a, b)
    assert re.fullmatch("[0-9a-f]{16}", both)
    assert code_hash(b, a) == code_hash(b, a, b) == code_hash(load(b), a) == both
    assert len({both, code_hash(a), code_hash(b)}) == 3
    (tmp_path / "deeper").mkdir()
    copy = tmp_path / "deeper" / "a.py"
    copy.write_bytes(b'"""Words."""\r\nNAME  =  "a.py"  # more words\r\n')
    assert code_hash(copy) == code_hash(a)
    a.write_text("NAME = 'b.py'\n")
    assert code_hash(a, b) != both
    before = code_hash(a)
    assert code_hash(a.rename(tmp_path / "c.py")) != before


def test_code_hash_takes_modules_of_the_package():
    assert code_hash(pgbook.statistics) != code_hash(pgbook.statistics, pgbook)


def test_no_progress_bar_outside_a_terminal(path, capsys):
    run_seeds(Toy().function(), range(2), path)
    assert capsys.readouterr() == ("", "")


class Bad:
    """Wrong calls, each on a new file."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "bad.csv"

    def seeds(self, *seeds):
        run_seeds(Toy().function(), seeds, self.path)

    def results(self, **results):
        run_seeds(lambda seed: results, [0], self.path)

    def no_results(self):
        run_seeds(lambda seed: None, [0], self.path)

    def changing_columns(self):
        run_seeds(lambda seed: {f"result_{seed}": 0}, [0, 1], self.path)

    def new_setting(self):
        run_seeds(Toy().function(), [0], self.path)
        run_seeds(Toy().function(), [0], self.path, extra=1)

    def settings(self, **settings):
        run_seeds(Toy().function(), [0], self.path, **settings)

    def run(self, run):
        run_seeds(run, [0], self.path)

    def folder(self):
        run_seeds(Toy().function(), [0], self.path / "no" / "file.csv")

    def foreign(self):
        self.path.write_text("x,y\n1,2\n")
        try:
            run_seeds(Toy().function(), [0], self.path)
        finally:
            assert self.path.read_text() == "x,y\n1,2\n"

    def read(self, text=None):
        if text is not None:
            self.path.write_text(text)
        read_rows(self.path)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda bad: bad.seeds(), "seeds"),
        (lambda bad: bad.seeds(0, 1, 0), "seeds"),
        (lambda bad: bad.seeds(0, 0.5), "seeds"),
        (lambda bad: bad.seeds(-1), "seeds"),
        (lambda bad: bad.results(curve=[1.0, 2.0]), "run"),
        (lambda bad: bad.results(curve=torch.ones(2)), "run"),
        (lambda bad: bad.results(name="text"), "run"),
        (lambda bad: bad.results(nothing=None), "run"),
        (lambda bad: bad.results(seed=1), "run"),
        (lambda bad: bad.results(code=1), "run"),
        (lambda bad: bad.changing_columns(), "run"),
        (lambda bad: bad.no_results(), "run"),
        (lambda bad: bad.new_setting(), "run"),
        (lambda bad: bad.run(print), "run"),
        (lambda bad: bad.run(partial(Toy().function(), scale=2)), "run"),
        (lambda bad: bad.run(eval("lambda seed: {}")), "run"),
        (lambda bad: bad.settings(code=1), "settings"),
        (lambda bad: bad.settings(seconds=1), "settings"),
        (lambda bad: bad.folder(), "path"),
        (lambda bad: bad.foreign(), "path"),
        (lambda bad: bad.read(), "path"),
        (lambda bad: bad.read(""), "path"),
        (lambda bad: bad.read("x,y\n1,2\n"), "path"),
        (lambda bad: code_hash(), "sources"),
        (lambda bad: code_hash(math), "sources"),
        (lambda bad: code_hash(sys), "sources"),
    ],
)
def test_bad_input_names_the_argument(call, argument, tmp_path):
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call(Bad(tmp_path))


ROWS = {"seed": [0, 1, 0], "task": ["a", "a", "b"], "rate": [0.1, 0.2, 0.1]}


def test_rows_where_keeps_the_rows_with_all_settings():
    assert rows_where(ROWS, task="a", rate=0.1) == {
        "seed": [0],
        "task": ["a"],
        "rate": [0.1],
    }
    assert rows_where(ROWS, rate=0.1)["task"] == ["a", "b"]
    assert rows_where(ROWS) == ROWS


@pytest.mark.parametrize("settings", [{"color": 1}, {"task": "c"}, {"rate": "0.1"}])
def test_rows_where_says_that_a_setting_is_unknown_or_fits_no_row(settings):
    with pytest.raises(ValueError, match="^settings: "):
        rows_where(ROWS, **settings)

"""Runs that take longer than a page may: one row per seed, in a file.

A shared room. `experiments/<chapter>_<name>.py` calls `run_seeds`, which writes
`book/data/<chapter>_<name>.csv`; the chapter reads it with `read_rows`. Every row
says how it came about: seed, settings, results, seconds, date, versions, the command
that makes it and a hash of the code on which it depends.

Where the seeds run is for joblib to say, around the call and unknown to it:

    with joblib.parallel_config(n_jobs=4):        # on four cores of this machine
    with joblib.parallel_config(backend="dask"):  # on the cluster of a Dask client
"""

import ast
import csv
import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import compress, islice
from numbers import Integral, Real
from pathlib import Path
from platform import python_version
from types import ModuleType

import torch
from joblib import Parallel, delayed, effective_n_jobs
from tqdm import tqdm

from pgbook._checks import require, require_count, require_not_empty

PACKAGES = ("torch", "gymnasium", "numpy")
# The hash comes last: a row that was cut off while it was written has no full one.
TEXTS = ("date", "python", *PACKAGES, "command", "code")
Cell = int | float | str


def run_seeds(
    run: Callable[..., Mapping[str, float]],
    seeds: Sequence[int],
    path: str | Path,
    *,
    modules: Sequence[ModuleType | Path] = (),
    **settings: object,
) -> dict[str, list[Cell]]:
    """Call ``run(seed, **settings)`` for each seed; keep each result as a row at once.

    A seed is skipped when the file has its row, with these settings and this code.
    Rows of other code are dropped first, so that no file mixes versions. When a seed
    fails, the others still run; the next call goes on with what is missing. Seeds run
    one after the other, with one PyTorch thread, unless `joblib.parallel_config` says
    where else; the rows are the same, and in the same order.

    Args:
        run: from a seed and settings to numbers by name; defined in a file.
        seeds: different integers.
        path: the CSV file; its folder exists.
        modules: what `run` depends on, besides the file that defines it: modules or
            Python files.
        settings: passed to `run` and written into the row, told apart by their text.

    Returns:
        The columns of the file, as `read_rows` gives them.

    Raises:
        ValueError: if a seed or a name occurs twice, a result is no number, or the
            file has other columns.
        ExceptionGroup: if runs raised, when all others are through: a RuntimeError for
            each, with its seed and its traceback.
    """
    _require_seeds(seeds)
    taken = {"seed", "seconds", *TEXTS} & set(settings)
    require(not taken, "settings", taken, "names that the row does not use itself")
    file = _source_file(run)
    made_by = {"command": _command(file), "code": code_hash(file, *modules)}
    path, failed, wrong = Path(path), [], []
    done = _keep_rows(path, made_by["code"])
    missing = _missing(seeds, settings, done)
    calls = (delayed(_attempt)(run, s, settings) for s in missing if not wrong)
    bar = tqdm(_as_they_end(calls), path.stem, len(missing), disable=None)
    for seed, results, origin in bar:
        if isinstance(results, RuntimeError):
            failed.append(results)
            continue
        try:
            parts = {"seed": seed, **settings}, _numbers(results), origin, made_by
            _append(path, [cell for part in parts for cell in part.items()])
        except ValueError as error:  # of every seed, most likely: start no other one
            wrong.append(error)
    _sort_rows(path, first=len(done))
    if wrong:
        raise wrong[0]
    if failed:
        raise ExceptionGroup(f"run: failed at {len(failed)} of the seeds", failed)
    return read_rows(path)


def read_rows(path: str | Path) -> dict[str, list[Cell]]:
    """Read the columns of a results file.

    Args:
        path: a file that `run_seeds` wrote.

    Returns:
        For each column its values, an entry per row, in the order of the file:
        integers or floats where all are, texts otherwise.

    Raises:
        ValueError: if there is no such file, or `run_seeds` did not write it.
    """
    require(Path(path).is_file(), "path", str(path), "a file that exists")
    names, rows = _texts(Path(path))
    columns = {name: [row[name] for row in rows] for name in names}
    return {
        name: texts if name in TEXTS else _converted(texts)
        for name, texts in columns.items()
    }


def rows_where(
    rows: Mapping[str, Sequence[Cell]], **settings: object
) -> dict[str, list[Cell]]:
    """Keep the rows that have these settings.

    Args:
        rows: columns of a results file, as `read_rows` gives them.
        settings: the value that each of these columns must have.

    Returns:
        The same columns, of the rows that are left, in their order.

    Raises:
        ValueError: if a setting is no column, or no row has them all.
    """
    for name in settings:
        require(name in rows, "settings", name, f"one of {sorted(rows)}")
    wanted = tuple(settings.values())
    found = zip(*(rows[name] for name in settings), strict=True)
    keep = [row == wanted for row in found] if settings else [True] * len(rows["seed"])
    require(any(keep), "settings", settings, "settings of at least one row")
    return {name: list(compress(column, keep)) for name, column in rows.items()}


def code_hash(*sources: ModuleType | Path) -> str:
    """Hash the code of modules and files, whatever their order.

    Comments, docstrings and layout do not count: they change no result.

    Args:
        sources: modules that were loaded from Python files, or such files.

    Returns:
        The first 16 hexadecimal digits of the SHA-256 of their names and code.

    Raises:
        ValueError: if there is nothing to hash, or a source is no Python file.
    """
    require_not_empty(sources=sources)
    texts = set()
    for source in sources:
        file = Path(getattr(source, "__file__", None) or str(source))
        require(file.suffix == ".py", "sources", source, "Python source files")
        texts.add((file.name, _code(file.read_text(encoding="utf-8"))))
    return hashlib.sha256(repr(sorted(texts)).encode()).hexdigest()[:16]


def _code(text: str) -> str:
    """Python source without comments, docstrings and layout."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _require_seeds(seeds: Sequence[int]) -> None:
    require_not_empty(seeds=seeds)
    for seed in seeds:
        require_count(0, seeds=seed)
    require(len(set(seeds)) == len(seeds), "seeds", seeds, "different integers")


def _missing(
    seeds: Sequence[int], settings: Mapping[str, object], rows: list[dict[str, str]]
) -> list[int]:
    """Seeds without a row that has these settings."""
    wanted = {name: str(value) for name, value in settings.items()}
    done = {row["seed"] for row in rows if wanted.items() <= row.items()}
    return [seed for seed in seeds if str(seed) not in done]


def _source_file(run: Callable) -> Path:
    code = getattr(run, "__code__", None)
    known = code is not None and Path(code.co_filename).is_file()
    require(known, "run", run, "a function defined in a file")
    return Path(code.co_filename)


def _command(file: Path) -> str:
    """What makes the row, from the root of the book."""
    file, root = file.resolve(), Path(__file__).resolve().parents[1]
    script = file.relative_to(root) if file.is_relative_to(root) else file.name
    return f"python {script}"


def _as_they_end(calls: Iterator[tuple]) -> Iterator[tuple]:
    """What the calls return; in rounds, where the backend returns lists, as Ray's."""
    try:
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
    except ValueError:
        with Parallel() as parallel:
            while some := list(islice(calls, effective_n_jobs(None))):
                yield from parallel(some)
    else:
        yield from parallel(calls)


def _attempt(run: Callable, seed: int, settings: Mapping[str, object]) -> tuple:
    """Seed, results and origin of a run, in the process that was chosen for it.

    Instead of the results of a run that failed there is a RuntimeError with its
    traceback as text: not every exception survives the way from another process.
    """
    torch.set_num_threads(1)
    start = time.perf_counter()
    try:
        results = run(seed, **settings)
    except Exception:
        results = RuntimeError(f"run: seed {seed}: {traceback.format_exc()}")
    origin = {
        "seconds": round(time.perf_counter() - start, 3),
        "date": datetime.now(UTC).date().isoformat(),
        "python": python_version(),
        **{package: version(package) for package in PACKAGES},
    }
    return seed, results, origin


def _numbers(results: Mapping[str, object]) -> dict[str, int | float]:
    """Results as Python numbers; NaN and infinities are results too."""
    require(isinstance(results, Mapping), "run", repr(results), "numbers by name")
    numbers = {}
    for name, value in results.items():
        value = value.item() if getattr(value, "ndim", None) == 0 else value
        require(isinstance(value, Real), "run", f"{name} = {value!r}", "a number")
        numbers[name] = int(value) if isinstance(value, Integral) else float(value)
    return numbers


def _texts(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and complete rows of a results file."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or ())
        rows = [row for row in reader if None not in row.values()]
    need = "a file that run_seeds wrote: its last column is code"
    require(names[-1:] == ["code"], "path", f"{path.name} with columns {names}", need)
    return names, rows


def _keep_rows(path: Path, code: str) -> list[dict[str, str]]:
    """Drop incomplete rows, and those of other code, from the file, if there is one."""
    require(path.parent.is_dir(), "path", str(path), "a file in a folder that exists")
    if not path.exists():
        return []
    names, rows = _texts(path)
    rows = [row for row in rows if row["code"] == code]
    if not rows:
        path.unlink()
        return []
    _write(path, names, rows)
    return rows


def _sort_rows(path: Path, first: int) -> None:
    """Order the rows from the first new one on by their seeds, not by their ends."""
    if path.exists():
        names, rows = _texts(path)
        rows[first:] = sorted(rows[first:], key=lambda row: int(row["seed"]))
        _write(path, names, rows)


def _write(path: Path, names: list[str], rows: list[dict[str, str]]) -> None:
    """Replace the file as a whole."""
    fresh = path.with_suffix(".tmp")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    fresh.replace(path)


def _append(path: Path, row: list[tuple[str, object]]) -> None:
    """Write the row to the end of the file, behind a header if it is the first."""
    names = [name for name, _ in row]
    require(len(set(names)) == len(names), "run", names, "results with new names")
    header = _texts(path)[0] if path.exists() else names
    require(names == header, "run", f"columns {names}", f"the columns {header}")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(names)
        writer.writerow(str(value) for _, value in row)


def _converted(texts: list[str]) -> list[Cell]:
    """All integers, all floats, or as they are."""
    for kind in (int, float):
        try:
            return [kind(text) for text in texts]
        except ValueError:
            continue
    return texts

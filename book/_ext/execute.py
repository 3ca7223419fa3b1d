"""Execute the chapters, two at a time, into the cache that the build reads.

`python book/_ext/execute.py` leaves out what the cache already holds, and drops the
whole build when anything that a chapter depends on has changed.
"""

import hashlib
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "_build"
BUILT = (".jupyter_cache", "html", ".doctrees", "jupyter_execute", "paper")
INPUTS = (
    "pgbook/**/*.py",
    "book/_ext/*.py",
    "book/data/*.csv",
    "experiments/*.py",
    "requirements.txt",
    "package-lock.json",
    "_config.yml",
)


def chapters() -> list[Path]:
    """The pages that have code."""
    pages = sorted((ROOT / "book").glob("[!_]*.md"))
    return [page for page in pages if "{code-cell}" in page.read_text("utf8")]


def digest() -> str:
    """A hash of everything but the pages themselves that the build depends on."""
    total = hashlib.sha256()
    for pattern in INPUTS:
        for path in sorted(ROOT.glob(pattern)):
            total.update(str(path.relative_to(ROOT)).encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def drop_what_is_stale() -> None:
    """Remove the cache and the built pages unless they belong to this digest."""
    stamp = BUILD / "digest"
    if not stamp.exists() or stamp.read_text() != digest():
        for folder in BUILT:
            shutil.rmtree(BUILD / folder, ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        stamp.write_text(digest())


def read(path: Path):
    """The page as the notebook that the build will look up in the cache."""
    return read_myst_markdown_notebook(
        path.read_text("utf8"),
        config=MdParserConfig(),
        code_directive="{code-cell}",
        raw_directive="{raw-cell}",
        add_source_map=False,
        path=path,
    )


def execute(path: Path):
    """Run one chapter in a kernel of its own, in its folder."""
    notebook = read(path)
    result = single_nb_execution(
        notebook, cwd=str(path.parent), timeout=120, allow_errors=False
    )
    return path, notebook, result


def main() -> int:
    """Execute what is missing; the exit code is 1 if a chapter failed."""
    drop_what_is_stale()
    cache = get_cache(BUILD / ".jupyter_cache")
    missing = []
    for path in chapters():
        try:
            cache.match_cache_notebook(read(path))
        except KeyError:
            missing.append(path)
    failed, start = False, time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        for path, notebook, result in pool.map(execute, missing):
            if result.err:
                failed = True
                print(f"{path.name}: {result.exc_string}", file=sys.stderr)
                continue
            print(f"executed {path.stem} in {result.time:.1f} s", flush=True)
            bundle = CacheBundleIn(
                notebook, str(path), data={"execution_seconds": result.time}
            )
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if missing:
        seconds = time.perf_counter() - start
        print(f"executed {len(missing)} chapters in {seconds:.0f} s")
    return failed


if __name__ == "__main__":
    sys.exit(main())

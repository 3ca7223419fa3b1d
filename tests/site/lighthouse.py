"""Lighthouse's scores of the built pages, and what holds the others back.

`python tests/site/lighthouse.py [PAGE …]`; npx fetches Lighthouse the first time.
"""

import json
import os
import subprocess
import sys

from browsers import FLAGS, browser_path
from conftest import HTML, pages
from server import served

LIGHTHOUSE = "lighthouse@12.8.2"
SCORES = "performance", "accessibility", "best-practices", "seo"
LIMITS = dict.fromkeys(SCORES, 1.0) | {"performance": 0.9}


def report(url: str) -> dict:
    """What Lighthouse says about a page on its slow phone."""
    command = ["npx", "--yes", LIGHTHOUSE, url, "--output=json", "--quiet"]
    command += [f"--chrome-flags={' '.join(FLAGS)}"]
    environment = os.environ | {"CHROME_PATH": browser_path()}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def held_back(found: dict) -> list[str]:
    """The audits that cost a page points, in the categories below their limits."""
    low = [c for c in SCORES if found["categories"][c]["score"] < LIMITS[c]]
    audits = {
        audit["id"]
        for category in low
        for audit in found["categories"][category]["auditRefs"]
        if audit["weight"]
    }
    scores = {name: found["audits"][name]["score"] for name in audits}
    return sorted(n for n, score in scores.items() if score is not None and score < 0.9)


def main(names: list[str]) -> bool:
    """Print a line per page; whether a page is below the limits."""
    failed = False
    with served(HTML) as address:
        for name in names:
            found = report(f"{address}/{name}")
            scores = [found["categories"][c]["score"] for c in SCORES]
            why = held_back(found)
            failed |= any(s < LIMITS[c] for c, s in zip(SCORES, scores, strict=True))
            print(name, *(f"{100 * s:.0f}" for s in scores), *why, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [p for p in pages() if p.startswith("book/")]))

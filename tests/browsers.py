"""The browser of this machine, one for all tests of a session."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run"
).split()
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def browser_path() -> str:
    """Where the system's browser is."""
    found = [shutil.which(name) for name in BROWSERS]
    found += [MACOS] if Path(MACOS).exists() else []
    if not any(found):
        raise pytest.UsageError(
            "Missing: a browser. Install Chromium (Debian: apt install chromium; "
            "Ubuntu: snap install chromium; macOS: brew install --cask google-chrome)."
        )
    return next(path for path in found if path)


def launch(playwright):
    """A browser without a window."""
    return playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)


@pytest.fixture(scope="session")
def browser():
    """A running browser."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()

"""A JupyterLab for a test, which ends with it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLAGS = (
    "--no-browser",
    "--allow-root",
    "--IdentityProvider.token=''",
    "--ServerApp.disable_check_xsrf=True",
)


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_lab(start, folder: Path, **environment: str) -> Iterator[str]:
    """Run the command that `start` makes of the flags, and give the lab's address."""
    port = free_port()
    server = subprocess.Popen(
        start([*FLAGS, f"--port={port}"]),
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/api", seconds=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait_until_it_answers(url: str, seconds: int) -> None:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                json.load(answer)
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)

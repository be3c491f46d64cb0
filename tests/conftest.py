"""A real Chromium for the tests marked so: started once in each test process, with nothing shared between tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
END_LIMIT_S = 30


@pytest.fixture(scope="session")
def chromium_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The WebSocket of Playwright's server, which has launched Chromium and ends it."""
    settings = tmp_path_factory.mktemp("chromium") / "server.json"
    settings.write_text(json.dumps({"executablePath": CHROMIUM, "args": FLAGS, "host": "127.0.0.1"}))
    command = [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium", "--config", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("ws://"), "Chromium did not start: see what its server said"
        yield address
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=END_LIMIT_S)  # its Node process holds the pipe until Chromium is gone


@pytest.fixture
async def chromium(chromium_address: str) -> AsyncIterator[Browser]:
    """The browser as one test sees it: contexts of its own, without any state, closed when the test ends."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        running = await playwright.chromium.connect(chromium_address)
        assert running.contexts == []
        yield running
        await running.close()

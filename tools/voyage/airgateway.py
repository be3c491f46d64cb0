"""The demo's gateway: `steward run` with a radio of its own on an air in this process, which bands join by its port.

python -m voyage.airgateway CONFIG PORT ZONE
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from steward import config
from steward.adapters.bleclient import BandLink
from steward.adapters.blescan import BleRadio
from steward.adapters.system import SystemClock
from steward.app import Gateway
from steward.cli_common import plain_errors
from steward.logs import set_up_logging
from steward.web.server import stopped_by_signal
from voyage.air import open_air
from voyage.airbackend import AirStation


async def serve(settings: config.Config, port: int, zone: str) -> None:
    """Until SIGTERM or SIGINT, as the gateway's own program does it."""
    stop = stopped_by_signal()
    async with open_air(port=port) as air, AirStation(air) as station:
        link = BandLink(station, backend=station.client)
        radio = BleRadio(settings.gateway.name, zone, SystemClock(), link, backend=station.scanner)
        listening = asyncio.create_task(radio.run())
        gateway = await Gateway.start(settings, radio)
        try:
            await gateway.wait(stop)
        finally:
            await gateway.stop()
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def main(file: str, port: str, zone: str) -> None:
    with plain_errors():
        settings = config.load(Path(file))
        set_up_logging(settings.log.format, settings.log.level)
        asyncio.run(serve(settings, int(port), zone))


if __name__ == "__main__":
    main(*sys.argv[1:])

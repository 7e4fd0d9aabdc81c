"""``python -m apps.inference.engine --config JSON``: the engine process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import threading

from apps.inference.engine.config import EngineConfig
from apps.models.runtime import accelerator
from apps.observability.logs import configure

logger = logging.getLogger("apps.inference.engine")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m apps.inference.engine")
    parser.add_argument("--config", required=True, help="EngineConfig as JSON")
    config = EngineConfig.model_validate_json(parser.parse_args().config)
    configure(process="engine", level=config.log_level, form=config.log_format)
    # Before anything imports MLX: on a CPU this decides which BLAS it finds.
    profile = accelerator.prepare()
    asyncio.run(_run(config, profile))


async def _run(config: EngineConfig, profile: accelerator.AcceleratorProfile) -> None:
    from apps.inference.engine.core import Engine
    from apps.inference.engine.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    # MLX arrays belong to the thread that made them, so the engine is made on
    # the thread that runs it.
    ready: asyncio.Future[Engine] = loop.create_future()

    def run_engine() -> None:
        try:
            engine = Engine(config, profile)
        except BaseException as error:
            loop.call_soon_threadsafe(ready.set_exception, error)
            raise
        loop.call_soon_threadsafe(ready.set_result, engine)
        try:
            engine.run()
        finally:
            loop.call_soon_threadsafe(stop.set)

    thread = threading.Thread(target=run_engine, name="engine", daemon=True)
    thread.start()
    await serve(await ready, config.socket, stop)
    await asyncio.to_thread(thread.join)
    logger.info("stopped")


if __name__ == "__main__":
    main()

"""What places in object stores cost: nothing for local paths, and how fast images come from a store.

`python benchmarks/places.py --images 2000`. The store is moto's S3 server on the loopback, which answers in
threads of this very process: its rate is a floor, no figure of a real store.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipelines import places
from pipelines.sources.photos import encode_png, read_bytes
from pipelines.storage import open_regular, write_bytes


def cpu_us(action: Callable[[], object], n: int, rounds: int = 5) -> float:
    """Microseconds of CPU time a call, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(n):
            action()
        best = min(best, (time.process_time() - began) / n)
    return best * 1e6


def local_paths(folder: Path) -> None:
    """The hooks that a local path passes, alone and beside what they stand in."""
    path = folder / "a.png"
    path.write_bytes(encode_png(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)))
    table, text = folder / "faces.csv", f"{path} cannot be read"
    write = cpu_us(lambda: write_bytes(folder / "b", b"x", sync=False), 2000)
    print("local paths, CPU microseconds a call:")
    print(f"  read an image's bytes      {cpu_us(lambda: read_bytes(path), 5000):8.2f}")
    print(f"  open a regular file        {cpu_us(lambda: open_regular(path).close(), 5000):8.2f}")
    print(f"  write a file (not synced)  {write:8.2f}")
    print(f"  of it, push                {cpu_us(lambda: places.push(path), 50000):8.2f}")
    print(f"  join a table's name        {cpu_us(lambda: places.beside(table, 'x/a.png'), 50000):8.2f}")
    print(f"  the same without a place   {cpu_us(lambda: table.parent / 'x/a.png', 50000):8.2f}")
    print(f"  a message for people       {cpu_us(lambda: places.named(text), 50000):8.2f}")


def from_a_store(n: int) -> None:
    """Images a second from a server on the loopback, by threads."""
    import os

    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    store = s3fs.S3FileSystem(use_listings_cache=False)
    store.mkdir("work")
    data = encode_png(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))
    store.pipe({f"work/pairs/real/{i}.png": data for i in range(n)} | {"work/pairs/manifest.parquet": b"m"})
    for threads in (1, 8, places.READERS):
        folder = places.local("s3://work/pairs")
        began, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(read_bytes, [folder / f"real/{i}.png" for i in range(n)]))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        rate, each = n / seconds, used / n * 1e3
        print(f"{threads:3} threads: {rate:6.0f} images/s, {each:.2f} CPU ms an image, server's included")
    server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        local_paths(Path(scratch))
    from_a_store(given.images)

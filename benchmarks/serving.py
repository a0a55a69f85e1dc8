"""Load on `audit serve` over the loopback: `python benchmarks/serving.py [--clients 16] [--seconds 8]`.

Starts the server with an untrained simplenet at 128 px, lets clients post images one by one over connections
that stay open, and prints the 50th and 95th percentile of the answer's time and images a second; beside them
what the scoring command's engine does with the same files, in turns. Aims: p95 under 300 ms with 16 clients
on 2 cores, throughput at least 70 % of scoring.

Why CPU time an image is printed too: on a machine that others use the clock measures them. Why the clients
are one process of threads: they must not take the cores that they measure; what they cost is printed.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from scoring import make_detector, make_images

from detectors.data.labelled_images import LabelledImages
from detectors.models.architectures import architecture, build
from detectors.models.checkpoint import save_checkpoint
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options

TICKS = os.sysconf("SC_CLK_TCK")


def start_server(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """The server and its port."""
    torch.manual_seed(0)
    path = folder / "simplenet.pt"
    save_checkpoint(path, "simplenet", build("simplenet", 2), architecture("simplenet").preprocessing, {})
    command = [sys.executable, "-m", "audit.cli", "serve", "--detector", str(path), "--port", "0", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its direct children so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0.0
    for one in (str(pid), *children):
        words = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += (int(words[11]) + int(words[12])) / TICKS
    return total


def client(port: int, bodies: list[bytes], until: float, waits: list[float], refused: list[float]) -> None:
    """Post images over one connection until the time is up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    while time.perf_counter() < until:
        started = time.perf_counter()
        connection.request("POST", "/v1/score", bodies[number % len(bodies)], {"Content-Type": "image/png"})
        answer = connection.getresponse()
        answer.read()
        (waits if answer.status == 200 else refused).append(time.perf_counter() - started)
        number += 1
    connection.close()


def load(port: int, pid: int, bodies: list[bytes], clients: int, seconds: float) -> dict[str, float]:
    """Percentiles in milliseconds, images a second, CPU milliseconds an image."""
    waits: list[float] = []
    refused: list[float] = []
    before, ours = cpu_seconds(pid), time.process_time()
    started = time.perf_counter()
    threads = [
        threading.Thread(
            target=client, args=(port, bodies[i:] + bodies[:i], started + seconds, waits, refused)
        )
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    p50, p95 = np.percentile(waits, [50, 95]) * 1000
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "per_s": len(waits) / took,
        "refused": len(refused),
        "server_cpu_ms": 1000 * (cpu_seconds(pid) - before) / len(waits),
        "client_cpu_ms": 1000 * (time.process_time() - ours) / len(waits),
    }


def scoring(images: LabelledImages, batch_size: int = 32) -> tuple[float, float]:
    """Images a second of the scoring engine, CPU milliseconds an image."""
    detector = make_detector("simplenet", "cpu")
    started, before = time.perf_counter(), time.process_time()
    score_images([detector], images, Options(batch_size=batch_size, progress=False))
    n = len(images.table)
    return n / (time.perf_counter() - started), 1000 * (time.process_time() - before) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--n", type=int, default=400)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), asked.n, 128)
        bodies = [Path(path).read_bytes() for path in images.table["path"]]
        process, port = start_server(Path(folder))
        try:
            load(port, process.pid, bodies, asked.clients, 1.0)
            for _ in range(asked.rounds):
                found = load(port, process.pid, bodies, asked.clients, asked.seconds)
                rate, cpu_ms = scoring(images)
                print(
                    f"serve: p50 {found['p50_ms']:.0f} ms, p95 {found['p95_ms']:.0f} ms, "
                    f"{found['per_s']:.0f} images/s, {found['server_cpu_ms']:.2f} ms of CPU an image "
                    f"(clients {found['client_cpu_ms']:.2f}), {found['refused']:.0f} refused | "
                    f"score: {rate:.0f} images/s, {cpu_ms:.2f} ms of CPU | "
                    f"throughput {found['per_s'] / rate:.2f} of scoring"
                )
        finally:
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    main()

"""One Redis node that syncs its file before it answers, as redis-benchmark sees it: what a single durable node does."""
import os
import shutil
import subprocess
import time

from handover import free_ports

REDIS = ("redis-server", "redis-benchmark", "redis-cli")


def redis_puts(base, conns=64, count=100_000, vsize=100):
    """SET a second. Precondition: the REDIS programs are installed."""
    directory, port = f"{base}/redis", free_ports(1)[0]
    os.makedirs(directory, exist_ok=True)
    server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "yes",
                               "--appendfsync", "always"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ask = ["redis-benchmark", "-p", str(port), "-t", "set", "-d", str(vsize), "-r", "10000", "--csv"]
    try:
        end = time.monotonic() + 10
        while subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True).stdout != b"PONG\n" and time.monotonic() < end:
            time.sleep(0.05)
        out = subprocess.check_output([*ask, "-c", str(conns), "-n", str(count)], text=True, timeout=120)
        rows = [line.replace('"', "").split(",") for line in out.splitlines()]
        said = dict(zip(rows[0], rows[1]))
        return {"rps": float(said["rps"]), "p50_us": round(1000 * float(said["p50_latency_ms"])), "p99_us": round(1000 * float(said["p99_latency_ms"]))}
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(directory, ignore_errors=True)

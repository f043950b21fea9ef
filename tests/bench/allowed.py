"""How many values a second disk, loopback and the load generator allow, when nothing else is done with them."""
import mmap
import multiprocessing
import os
import select
import socket
import time

from load import wrk

MIB = 1 << 20


def write_and_sync(path, secs, out):
    """Past the page cache where the file system has that: it is the fastest way."""
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_DSYNC
    try:
        fd = os.open(path, flags | os.O_DIRECT)
    except OSError:
        fd = os.open(path, flags)
    block = mmap.mmap(-1, MIB)  # Aligned, as O_DIRECT wants it.
    block.write(b"x" * MIB)     # A disk may store zeros for nothing.
    written, end = 0, time.monotonic() + secs
    while time.monotonic() < end and written < 2048 * MIB:
        written += os.write(fd, block)
    os.close(fd)
    os.unlink(path)
    out.put(written / secs)


def serve(listener, size):
    peer, _ = listener.accept()
    value = b"x" * size
    while peer.recv(1):
        peer.sendall(value)


def disk_bytes_per_s(base, nodes=3, secs=2):
    """Of each of so many that write and sync at once, one mebibyte at a time; the slowest."""
    out = multiprocessing.Queue()
    writers = [multiprocessing.Process(target=write_and_sync, args=(f"{base}/allowed{i}", secs, out)) for i in range(nodes)]
    for w in writers:
        w.start()
    found = [out.get(timeout=secs + 30) for _ in writers]
    for w in writers:
        w.join(10)
    return min(found)


def loopback_values_per_s(size, secs=2):
    """Answers of this size to one byte each, two connections at once, one for each processor of each side."""
    out = multiprocessing.Queue()

    def ask(port):
        count, end = 0, time.monotonic() + secs
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffer = bytearray(size)
            while time.monotonic() < end:
                s.sendall(b"?")
                left = size
                while left:
                    left -= s.recv_into(buffer, left)
                count += 1
        out.put(count / secs)

    processes = []
    for _ in range(2):
        listener = socket.create_server(("127.0.0.1", 0))
        processes += [multiprocessing.Process(target=serve, args=(listener, size)),
                      multiprocessing.Process(target=ask, args=(listener.getsockname()[1],))]
    for p in processes:
        p.start()
    total = sum(out.get(timeout=secs + 30) for _ in range(2))
    for p in processes:
        p.join(10)
    return total


def send_to_all(listener, size):
    """One thread that gives every request, whatever it asks, the same value; until it is terminated."""
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size
    ready, peers = select.epoll(), {}
    ready.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in ready.poll():
            if fd == listener.fileno():
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()] = peer
                ready.register(peer, select.EPOLLIN)
            elif peers[fd].recv(4096):
                peers[fd].sendall(response)
            else:
                peers.pop(fd).close()


def generator_values_per_s(size, conns=16, secs=2):
    """What the load generator takes from a server that only sends: its own cost of a value is most of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.Process(target=send_to_all, args=(listener, size), daemon=True)
    server.start()
    try:
        return wrk(f"http://127.0.0.1:{listener.getsockname()[1]}", {"method": "GET", "path": "/{k}"}, conns, secs)["rps"]
    finally:
        server.terminate()
        server.join(10)


def allowed(base, size=65536):
    """Puts and gets a second. A put goes over loopback three times, from the client and to two followers."""
    disk, loopback, generator = disk_bytes_per_s(base) / size, loopback_values_per_s(size), generator_values_per_s(size)
    return {"disk_per_s": round(disk), "loopback_per_s": round(loopback), "generator_per_s": round(generator),
            "put": min(disk, loopback / 3), "get": loopback}

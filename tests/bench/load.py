"""Load on clusters, and cells: one load, and what it took."""
import base64, json, os, re, resource, select, socket, subprocess, time
from cluster import HERE, cpu_total, idle_gate, rss_kib

def wrk(url, op, conns, secs, keys=10000, vsize=100, seq=False, check=False, threads=1):
    second = op.get("second", {})
    env = dict(os.environ, B_METHOD=op.get("method", "PUT"), B_PATH=op["path"], B_BODY=op.get("body", ""), B_HEADERS=op.get("headers", ""),
               B_METHOD2=second.get("method", ""), B_PATH2=second.get("path", ""), B_BODY2=second.get("body", ""), B_KEYS=str(keys), B_VSIZE=str(vsize), B_SEQ="1" if seq else "0", B_CHECK="1" if check else "0")
    a = ["wrk", f"-t{threads}", f"-c{conns}", f"-d{secs}s", "--timeout", "10s", "-s", HERE + "/load.lua", url]
    p = subprocess.Popen(a, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = p.communicate(timeout=secs + 60)[0]
    for l in out.splitlines():
        if l.startswith("RESULT "): return json.loads(l[7:])
    raise SystemExit("wrk failed: " + out[-500:])

def fill(cl, nkeys, vsize, conns=64, max_s=400):
    """Exactly nkeys distinct keys, each once, over `conns` keep-alive connections (threads share one counter); own client, as wrk cannot stop at a count."""
    op = cl.t["ops"]["put"]; port = cl.http[cl.leader()]; v = b"v" * vsize; v64 = base64.b64encode(v).decode(); vs = v.decode()
    def req(i):
        k = f"key{i:08d}"; m = {"k": k, "k64": base64.b64encode(k.encode()).decode(), "v": vs, "v64": v64}
        f = lambda s: re.sub(r"\{(k|k64|v|v64)\}", lambda x: m[x[1]], s)
        b = f(op["body"]).encode(); h = op.get("headers", "Content-Type: application/json")
        return f"{op['method']} {f(op['path'])} HTTP/1.1\r\nHost: x\r\n{h}\r\nContent-Length: {len(b)}\r\n\r\n".encode() + b
    ep = select.epoll(); socks = {}; nxt = done = bad = 0; t0 = time.time()
    for _ in range(conns):
        s = socket.create_connection(("127.0.0.1", port)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.setblocking(False); ep.register(s.fileno(), select.EPOLLIN); socks[s.fileno()] = [s, b""]
        if nxt < nkeys: s.send(req(nxt)); nxt += 1
    while done < nkeys and time.time() - t0 < max_s:
        for fd, _ in ep.poll(5):
            e = socks[fd]; d = e[0].recv(65536)
            if not d: raise SystemExit("fill: connection closed")
            e[1] += d; h = e[1].find(b"\r\n\r\n")
            if h < 0: continue
            m = re.search(rb"[Cc]ontent-[Ll]ength: (\d+)", e[1][:h]); need = h + 4 + (int(m[1]) if m else 0)
            if m is None and b"chunked" in e[1][:h].lower() and not e[1].endswith(b"0\r\n\r\n"): continue
            if m and len(e[1]) < need: continue
            if not e[1].startswith(b"HTTP/1.1 2"): bad += 1
            e[1] = b""; done += 1
            if nxt < nkeys: e[0].send(req(nxt)); nxt += 1
    for s, _ in socks.values(): s.close()
    print(f"# fill {cl.name}: {done} keys, {bad} bad, {done/(time.time()-t0):.0f}/s", flush=True)
    return done - bad

def raftd_bench(port, *arguments, secs=5):
    """What raftd bench says: results by kind, and the rest."""
    out = subprocess.check_output([os.environ.get("RAFTD", "raftd"), "bench", *map(str, arguments), "--endpoints", f"127.0.0.1:{port}",
                                   "--seconds", str(secs), "--output", "json"], timeout=secs + 300)
    said = json.loads(out)
    return {r["kind"]: r for r in said["results"]}, said

def measure(cl, name, op, conns, secs, keys, vsize, gate_s=4):
    """One cell: gate, load, what the servers took, and the foreign CPU that spoils it."""
    port = cl.http[cl.follower() if op.get("node") == "follower" else cl.leader()]
    gate = idle_gate(wait=gate_s)
    # The generator alone decides its children's CPU time: RUSAGE_CHILDREN.
    r0 = resource.getrusage(resource.RUSAGE_CHILDREN); c0 = cl.cpu(); f0 = cl.fsyncs(cl.leader()); b0, s0 = cpu_total(); t0 = time.time()
    r = wrk(f"http://127.0.0.1:{port}", op, conns, secs, keys, vsize)
    dt = time.time() - t0; b1, s1 = cpu_total(); f1 = cl.fsyncs(cl.leader()); c1 = cl.cpu(); r1 = resource.getrusage(resource.RUSAGE_CHILDREN)
    gen = r1.ru_utime + r1.ru_stime - r0.ru_utime - r0.ru_stime
    u, s = c1[0] - c0[0], c1[1] - c0[1]; n = max(r["requests"], 1)
    foreign = max(0.0, (b1 - b0) - u - s - gen) / dt
    r.update(target=name, conns=conns, nodes=cl.n, cpu_us_per_req=round((u + s) / n * 1e6, 1), user_us=round(u / n * 1e6, 1), sys_us=round(s / n * 1e6, 1),
             srv_cores=round((u + s) / dt, 2), gen_cores=round(gen / dt, 2), foreign_cores=round(foreign, 2), steal=round((s1 - s0) / dt, 2), gate=gate,
             fsyncs_per_s=round((f1 - f0) / dt), rss_mib=max(rss_kib(p)["VmRSS"] for p in cl.pids()) // 1024,
             errors=r["err_connect"] + r["err_read"] + r["err_write"] + r["err_status"] + r["err_timeout"])
    return r

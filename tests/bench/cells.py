"""Cells: the same load on clusters that take turns, and the table of them.

A cell is OP@CONNECTIONS or OP@CONNECTIONS/BYTES; targets that share another's cluster are another interface of it."""
import json, statistics, sys
from cluster import TARGETS, Cluster, fsync_probe
from load import measure, wrk

FOREIGN = 0.25          # Cores that others may take in a clean run.
KEY_BYTES = 16 << 20    # Of values in all, so that the generator holds every request that it will send.

def med(rows, k): return statistics.median(r[k] for r in rows)
def pairs(base_rows, rows):
    """Those of one repetition; those that nobody spoilt, if there are any."""
    base = {r["rep"]: r for r in base_rows}
    pair = [(r, base[r["rep"]]) for r in rows if r["rep"] in base]
    return [(r, b) for r, b in pair if max(r["foreign_cores"], b["foreign_cores"]) < FOREIGN] or pair
def ratio(base_rows, rows, k):
    """The median of the ratios of each repetition; None: there is none."""
    pair = pairs(base_rows, rows)
    return statistics.median(r[k] / max(b[k], 0.1) for r, b in pair) if pair else None
def table(cells, names, data, out=sys.stdout):
    cols = ("rps", "p50_us", "p99_us", "p999_us", "cpu_us_per_req", "fsyncs_per_s", "rss_mib", "foreign_cores")
    print(f"Ratios are medians of per-repetition ratios to {names[0]} (neighbours in time); the other columns are medians.\n", file=out)
    print("| cell | target | runs (clean) | " + " | ".join(cols) + " | rps min..max | ratio rps | ratio p99 | ratio cpu |", file=out)
    print("|" + "---|" * (len(cols) + 7), file=out)
    for c in cells:
        base = data.get((c, names[0])) or []
        for n in names:
            rows = data.get((c, n)) or []
            if not rows: continue
            m = {k: med(rows, k) for k in cols}
            q = lambda k: "-" if (x := ratio(base, rows, k)) is None else f"{x:.2f}"
            print(f"| {c} | {n} | {len(rows)} ({sum(r['foreign_cores'] < FOREIGN for r in rows)}) | " + " | ".join(f"{m[k]:,.0f}" if k != "foreign_cores" else f"{m[k]:.2f}" for k in cols) +
                  f" | {min(r['rps'] for r in rows):,.0f}..{max(r['rps'] for r in rows):,.0f} | {q('rps')} | {q('p99_us')} | {q('cpu_us_per_req')} |", file=out)

class Lanes:
    """The clusters of some targets, all of them up."""
    def __init__(self, names, a):
        self.names, self.a, self.clusters = names, a, {}
        try:
            for n in names:
                owner = TARGETS[n].get("share", n)
                if owner in self.clusters: continue
                cl = self.clusters[owner] = Cluster(owner, a.nodes, a.dir); s = cl.start()
                print(f"# {owner}: up in {s * 1000:.0f} ms, leader n{cl.leader()}", flush=True)
            for n in names:     # Fill, and warm.
                wrk(f"http://127.0.0.1:{self.of(n).http[self.of(n).leader()]}", TARGETS[n]["ops"]["put"], 32, 2, a.keys, a.vsize, seq=True)
        except BaseException:
            self.clean()
            raise
    def of(self, name): return self.clusters[TARGETS[name].get("share", name)]
    def clean(self):
        for cl in self.clusters.values(): cl.clean()
    def run(self, cells, data, log=None):
        """Adds rows to data[cell, target]."""
        a = self.a
        for cell in cells:
            opn, _, rest = cell.partition("@"); conns, _, vsize = rest.partition("/"); vsize = int(vsize or a.vsize)
            keys = min(a.keys, KEY_BYTES // max(vsize, 1))
            lanes = [n for n in self.names if opn in TARGETS[n]["ops"]]
            if vsize != a.vsize and opn == "get":
                for n in lanes: wrk(f"http://127.0.0.1:{self.of(n).http[self.of(n).leader()]}", TARGETS[n]["ops"]["put"], 32, 2, keys, vsize, seq=True)
            for rep in range(a.reps):
                w = fsync_probe(a.dir)
                for n in lanes if rep % 2 == 0 else lanes[::-1]:            # ABBA against drift
                    for attempt in range(1 + a.retries):
                        r = measure(self.of(n), n, TARGETS[n]["ops"][opn], int(conns), a.secs, keys, vsize, a.gate_s)
                        if r["foreign_cores"] < FOREIGN: break
                    r.update(cell=cell, rep=rep, fsync_p50_us=w["p50_us"], fsync_p99_us=w["p99_us"]); data.setdefault((cell, n), []).append(r)
                    if log: log.write(json.dumps(r) + "\n"); log.flush()
                    print(f"# {cell} {n}: {r['rps']:.0f}/s p50 {r['p50_us']} p99 {r['p99_us']} us, cpu {r['cpu_us_per_req']} us/req, srv {r['srv_cores']} gen {r['gen_cores']} foreign {r['foreign_cores']} cores, err {r['errors']}, fsync p50 {w['p50_us']} p99 {w['p99_us']}", flush=True)

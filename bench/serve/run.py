"""make bench-serve: how the server keeps its promises, each figure a ratio or a count of one run.

    python3 bench/serve/run.py --hinet build/release/hinet --load build/release/hinet_load [--only NAME …]

Each figure is a function below and a name for --only; --json FILE keeps what was measured. The
server is pinned to the first core and the generator to the last one where a figure says so; with
two cores that leaves none for the kernel, the reloader or the rest of the machine."""

import argparse
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import hostile
import server as serving
import world

FIGURES = {}


def figure(function):
    FIGURES[function.__name__] = function
    return function


class Bench:
    def __init__(self, options):
        self.o = options
        self.hinet, self.load, self.bench = (pathlib.Path(x).resolve() for x in (options.hinet, options.load, options.bench))
        self.folder = pathlib.Path(options.folder or tempfile.mkdtemp(prefix="hinet-bench-")).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        cores = sorted(os.sched_getaffinity(0))
        self.first, self.last = cores[0], cores[-1]

    def paper(self):
        bundle = world.make_paper(self.hinet, self.folder / "paper")
        return bundle, world.paper_bodies(self.folder / "paper.jsonl")

    def small(self):
        bundle = world.make_small(self.hinet, self.folder / "small")
        return bundle, world.small_bodies(self.folder / "small.jsonl", self.folder / "small")

    def config(self, models, **more):
        lines = [f"models: {models}", "listen: 127.0.0.1:0", f"admin: {{listen: 127.0.0.1:0, token_file: {self.token()}}}"]
        return "\n".join(lines + [f"{key}: {value}" for key, value in more.items()]) + "\n"

    def token(self):
        path = self.folder / "token"
        if not path.exists():
            path.write_text("0123456789abcdef0123456789\n")
            path.chmod(0o600)
        return path

    def serve(self, name, config, cores=None):
        running = serving.Server(self.hinet, self.folder / name, config, cores)
        plain = running.ask
        running.ask = lambda method, path, body=None, port=None, **kw: plain(
            method, path, body, port, headers={"Authorization": f"Bearer {self.token().read_text().strip()}"}, **kw)
        return running

    def run(self, running, bodies, rate, seconds, **options):
        return serving.Load(self.load, running.port, bodies, rate, seconds, **{"core": self.last, **options}).result()

    def capacity(self, running, bodies, seconds=4):
        """Requests a second that a server answers while more are offered than it can take."""
        rough = self.run(running, bodies, 10, 2, warmup=1)["accepted"]["p50_ms"]
        load = serving.Load(self.load, running.port, bodies, 3e3 / max(rough, 0.1), seconds + 2, core=self.last, warmup=0,
                            headers="X-Deadline-Ms: 10000", timeout=15, connections=16)
        time.sleep(1.5)
        begun, first = time.time(), running.answered()
        time.sleep(seconds)
        found = (running.answered() - first) / (time.time() - begun)
        load.stop()
        return found


# ---- (a) End to end ---------------------------------------------------------------------------


def phases_between(before, after):
    """Mean milliseconds of each phase."""
    return {p: 1e3 * (after[p][0] - before.get(p, (0, 0))[0]) / max(1, after[p][1] - before.get(p, (0, 0))[1]) for p in after}


def outside(phases):
    return phases["total"] - phases["model"] - phases["queue"]


@figure
def end_to_end(b):
    """200 candidates with 25 features each, JSON, 2 threads: time outside the network's forward pass.

    By the server's own phases (wall time, the best of several windows, for others use the machine,
    too), and by the processor time of the whole process less the forward pass measured alone."""
    bundle, bodies = b.paper()
    running = b.serve("end_to_end", b.config(bundle, workers=2, deadline_ms=5000))
    b.run(running, bodies, b.o.rate, 2, warmup=1, core=None)
    begun, cpu = running.metrics(), running.cpu_seconds()
    windows, clients = [], []
    for k in range(max(1, round(b.o.seconds / 2))):
        before = running.metrics()[1]
        clients.append(b.run(running, bodies, b.o.rate, 2, core=None, arrival="fixed", connections=8, warmup=0, seed=k))
        windows.append(phases_between(before, running.metrics()[1]))
    ended, cpu = running.metrics(), running.cpu_seconds() - cpu
    running.stop()
    direct = subprocess.run([b.bench, "--json", "--seconds", "2", "request"], capture_output=True, text=True, check=True)
    forward = json.loads(direct.stdout)
    requests = ended[1]["total"][1] - begun[1]["total"][1]
    best, scale = min(windows, key=outside), forward["request.peak"] / 100
    cpu_ms = 1e3 * cpu / requests
    return {"requests": requests, "failed": sum(c["failed"] for c in clients), "body_bytes": bodies.stat().st_size / 64,
            "best_window_ms": best, "median_window_outside_ms": statistics.median(map(outside, windows)),
            "outside_ms": outside(best), "outside_ms_at_100_gflops": outside(best) * scale,
            "client_best_p50_ms": min(c["accepted"]["p50_ms"] for c in clients),
            "cpu_ms_a_request": cpu_ms, "forward_ms": forward["request.once_ms"], "forward_median_ms": forward["request.once_median_ms"],
            "cpu_outside_ms_at_100_gflops": (cpu_ms - forward["request.once_ms"]) * scale, "peak_gflops_a_core": forward["request.peak"]}


# ---- (b) Reloads ------------------------------------------------------------------------------


class Versions:
    """A folder of versions in which each `next` is a new one, atomically."""

    def __init__(self, folder, bundle):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.bundle, self.n = folder, bundle, 1
        self.next()

    def next(self):
        shutil.copy(self.bundle, self.folder / ".new")
        (self.folder / ".new").rename(self.folder / f"{self.n}.hn")
        if self.n > 3:
            (self.folder / f"{self.n - 3}.hn").unlink()
        self.n += 1


def reload_once(running, versions):
    versions.next()
    status, text = running.ask("POST", "/admin/models/default/reload", port=running.admin_port)
    if status != 200:
        raise RuntimeError(f"reload {versions.n}: {status} {text[:300]}")


@figure
def reload_latency(b):
    """One worker at 60 % load, generator on the other core: p99 with 20 reloads in a window over p99 without."""
    bundle, bodies = b.paper()
    versions = Versions(b.folder / "reload" / "models", bundle)
    running = b.serve("reload", b.config("models", workers=1, deadline_ms=1000, poll_seconds=3600), [b.first])
    rate = 0.6 * b.capacity(running, bodies)
    pairs, seconds = [], b.o.window
    for _ in range(5):
        p99 = []
        for reloads in (0, 20):
            load = serving.Load(b.load, running.port, bodies, rate, seconds, core=b.last)
            time.sleep(1.2)
            begun = time.time()
            for k in range(reloads):
                reload_once(running, versions)
                time.sleep(max(0, begun + (k + 1) * seconds / (reloads + 1) - time.time()))
            found = load.result()
            p99.append(found["accepted"]["p99_ms"])
            pairs.append({"reloads": reloads, "p99_ms": p99[-1], "p50_ms": found["accepted"]["p50_ms"], "max_ms": found["accepted"]["max_ms"],
                          "failed": found["failed"], "statuses": found["statuses"]})
        pairs[-1]["ratio"] = p99[1] / p99[0]
    values = running.metrics()[0]
    running.stop()
    return {"rate": rate, "windows": pairs, "median_ratio": statistics.median(p["ratio"] for p in pairs if "ratio" in p),
            "failed": sum(p["failed"] for p in pairs), "not_200": sum(n for p in pairs for s, n in p["statuses"].items() if s != "200"),
            "overrun": values["hinet_overrun_total"], "loads": values["hinet_model_loads_total"]}


@figure
def reload_many(b):
    """1,000 reloads of a small model under load: no request fails."""
    bundle, bodies = b.small()
    versions = Versions(b.folder / "reload_many" / "models", bundle)
    running = b.serve("reload_many", b.config("models", workers=1, deadline_ms=2000, poll_seconds=3600), [b.first])
    load, begun, all_found = None, time.time(), []
    for k in range(b.o.reloads):
        if load is None:
            load = serving.Load(b.load, running.port, bodies, 200, 20, core=b.last, warmup=0)
        reload_once(running, versions)
        if load.process.poll() is not None or k == b.o.reloads - 1:
            all_found.append(load.result())
            load = None
    values = running.metrics()[0]
    running.stop()
    return {"reloads": values["hinet_model_loads_total"] - 1, "frees": values["hinet_model_frees_total"], "seconds": time.time() - begun,
            "requests": sum(x["due"] for x in all_found), "failed": sum(x["failed"] for x in all_found),
            "not_200": sum(n for x in all_found for s, n in x["statuses"].items() if s != "200"),
            "p99_ms": max(x["accepted"]["p99_ms"] for x in all_found)}


# ---- (c) Overload -----------------------------------------------------------------------------


@figure
def overload(b):
    """Twice the capacity for 5 s over a base of half of it: accepted ones keep 100 ms, others are refused early."""
    bundle, bodies = b.paper()
    deadline = 100
    running = b.serve("overload", b.config(bundle, workers=1, deadline_ms=deadline), [b.first])
    capacity = b.capacity(running, bodies)
    base = serving.Load(b.load, running.port, bodies, 0.5 * capacity, 15, core=b.last, slice=0.5, deadline_ms=deadline, connections=128)
    time.sleep(6)  # 1 of warm-up, 5 undisturbed
    burst = b.run(running, bodies, 1.5 * capacity, 5, warmup=0, deadline_ms=deadline, connections=256, seed=2)
    found = base.result()
    values = running.metrics()[0]
    running.stop()
    slices = found["slices"]
    return {"capacity": capacity, "burst": {k: burst[k] for k in ("statuses", "late", "failed", "accepted", "refused", "send_lag")},
            "base": {k: found[k] for k in ("statuses", "late", "failed", "accepted", "refused")},
            "before_p99_ms": max(s["p99_ms"] for s in slices[:9]),
            "after": [{k: s[k] for k in ("at", "ok", "refused", "p99_ms")} for s in slices[20:]],
            "overrun": values["hinet_overrun_total"], "expired": values["hinet_expired_total"]}


# ---- (d) Hostile requests ---------------------------------------------------------------------


def read_answer(client):
    """(status, whether the connection ends) of one answer, read whole; status 0: it ended without one."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            got = client.recv(65536)
            if not got:
                return 0, True
            data += got
        head, _, rest = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(rest) < length:
            got = client.recv(65536)
            if not got:
                return 0, True
            rest += got
        return int(head.split(b" ")[1]), b"\r\nconnection: close" in head.lower()
    except (ConnectionError, ValueError):
        return 0, True


def attack(port, plans, n, wrong, counts):
    client = None
    for _ in range(n):
        name, data, right, lives = next(plans)
        if client is None:
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.sendall(data)
        except ConnectionError:
            pass  # refused before all was sent; the answer may be there
        status, ends = (0, True) if right == {0} else read_answer(client)  # 0: nothing is due; it is left
        counts.setdefault(name, {}).setdefault(status, 0)
        counts[name][status] += 1
        if status not in right:
            wrong.append((name, status, data[:300]))
        if not lives or ends:
            client.close()
            client = None
    if client:
        client.close()


def crawl(port, stop, cut):
    """Clients of one byte a second, and ones that never say a word: hung up on in time."""
    while not stop.is_set():
        begun = time.time()
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        try:
            for byte in b"POST /v1/rank HTTP/1.1\r\nHost: slow":
                client.send(bytes([byte]))
                if stop.wait(0.5):
                    break
        except OSError:
            cut.append(time.time() - begun)
        client.close()


@figure
def hostile_requests(b):
    """Malformed, oversized, cut, slow: each the right status, and a good client beside them loses nothing."""
    bundle, bodies = b.small()
    limits = {"body_bytes": 200000, "header_bytes": 8192, "candidates": 200, "depth": 32}
    text = ", ".join(f"{k}: {v}" for k, v in limits.items())
    running = b.serve("hostile", b.config(bundle, workers=1, deadline_ms=5000, limits=f"{{{text}, header_seconds: 3, body_seconds: 3}}"), [b.first])
    good = serving.Load(b.load, running.port, bodies, 20, b.o.hostile / 4000 + 8, core=b.last, connections=4)
    wrong, counts, cut, stop = [], {}, [], threading.Event()
    crawlers = [threading.Thread(target=crawl, args=(running.port, stop, cut)) for _ in range(8)]
    for thread in crawlers:
        thread.start()
    begun, plans, done = time.time(), hostile.plans(bodies.read_text().splitlines(), limits), 0
    while done < b.o.hostile:
        attack(running.port, plans, 1000, wrong, counts)
        done += 1000
    seconds = time.time() - begun
    time.sleep(max(0, 8 - seconds))  # the slow ones are cut after 3 s
    stop.set()
    for thread in crawlers:
        thread.join()
    found = good.result()
    alive = running.ask("GET", "/health")[0] == 200
    memory = running.memory_kib()
    running.stop()
    return {"requests": done, "seconds": seconds, "wrong": len(wrong), "examples": [(n, s, repr(d)) for n, s, d in wrong[:10]],
            "by_kind": counts, "slow_cut": len(cut), "slow_longest_s": max(cut, default=0), "alive": alive, "memory_kib": memory,
            "good": {"due": found["due"], "statuses": found["statuses"], "failed": found["failed"], "p99_ms": found["accepted"]["p99_ms"]}}


# ---- (e) Redis --------------------------------------------------------------------------------


@figure
def redis_restart(b):
    """Redis killed and started again under load: every answer comes, some with defaults, then all whole again."""
    if not shutil.which("redis-server"):
        return {"skipped": "redis-server is not installed (Debian: redis-server)"}
    bundle, bodies = b.small()
    redis = serving.Redis(b.folder, b.last)
    push = [b.hinet, "features", "push", b.folder / "small" / "config.yaml", "users", "--redis", redis.url, "--quiet", "--json"]
    pushed = json.loads(subprocess.run(push, capture_output=True, check=True).stdout)
    store = f"{{url: '{redis.url}', tables: [users], timeout_ms: 5, cache_seconds: 0}}"
    running = b.serve("redis", b.config(bundle, workers=1, deadline_ms=1000, store=store), [b.first])
    load = serving.Load(b.load, running.port, bodies, 200, 12, core=b.last, slice=0.5, count=['"missing_features"'])
    time.sleep(4)
    before = running.metrics()[0]
    redis.kill()
    time.sleep(3)
    down = running.metrics()[0]
    redis.start()
    subprocess.run(push, capture_output=True, check=True)
    time.sleep(2)
    back = running.metrics()[0]
    found = load.result()
    after = running.metrics()[0]
    running.stop()
    redis.kill()
    rise = lambda x, y: {k[12:-6]: y[k] - x[k] for k in y if k.startswith("hinet_store_")}
    return {"pushed": pushed["rows"], "due": found["due"], "statuses": found["statuses"], "failed": found["failed"], "accepted": found["accepted"],
            "while_down": rise(before, down), "coming_back": rise(down, back), "afterwards": rise(back, after), "slices": found["slices"]}


# ---- (f) kill -9 ------------------------------------------------------------------------------


def read_exposures(folder):
    """Lines that can be read of all files, the unfinished one too; raises on one that is no JSON but the last."""
    lines = 0
    for path in sorted(folder.iterdir()):
        out = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=False).stdout
        whole = out.split(b"\n")[:-1]
        for line in whole:
            json.loads(line)
        lines += len(whole)
    return lines


@figure
def killed_server(b):
    """kill -9 at random: the exposure log can be read up to its last flushed block."""
    if not shutil.which("zstd"):
        return {"skipped": "zstd is not installed"}
    bundle, bodies = b.small()
    rng, rounds, flush = random.Random(1), [], 0.2
    for k in range(b.o.kills):
        folder = b.folder / "killed" / f"exposures{k}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        running = b.serve("killed", b.config(bundle, workers=1, exposures=f"{{dir: {folder}, flush_seconds: {flush}, file_bytes: 65536}}"), [b.first])
        load = serving.Load(b.load, running.port, bodies, 300, 3, core=b.last, warmup=0, timeout=1)
        time.sleep(rng.uniform(0.7, 2.5))
        sure = running.metrics()[0].get("hinet_requests_total", 0)
        time.sleep(2 * flush + rng.uniform(0, 0.3))
        running.kill()
        answered = load.result()["answered"]
        rounds.append({"answered": answered, "sure": sure, "lines": read_exposures(folder)})
    return {"kills": b.o.kills, "rounds": rounds, "unreadable": 0,
            "lost_before_flush": sum(max(0, r["sure"] - r["lines"]) for r in rounds)}


# ---- (g) Memory -------------------------------------------------------------------------------


@figure
def memory(b):
    """Resident memory over many requests with a small model."""
    bundle, bodies = b.small()
    running = b.serve("memory", b.config(bundle, workers=1, deadline_ms=10000), [b.first])
    rate = b.o.memory_rate
    load = serving.Load(b.load, running.port, bodies, rate, b.o.requests / rate, core=b.last)
    seen = [(0, running.memory_kib())]
    while load.process.poll() is None:
        time.sleep(1)
        served = running.metrics()[0]["hinet_requests_total"]
        if served > seen[-1][0] + b.o.requests / 20:
            seen.append((served, running.memory_kib()))
    found = load.result()
    seen.append((running.metrics()[0]["hinet_requests_total"], running.memory_kib()))
    running.stop()
    tenth = next(kib for n, kib in seen if n >= b.o.requests / 10)
    return {"requests": found["due"], "statuses": found["statuses"], "failed": found["failed"], "rate": rate, "kib_after": seen,
            "growth_kib_after_a_tenth": seen[-1][1] - tenth}


# ---- All of it --------------------------------------------------------------------------------


def show(name, what, depth=0):
    for key, value in what.items():
        if isinstance(value, dict) and depth == 0 and key != "by_kind":
            print(f"  {key}: {', '.join(f'{k} {v:.4g}' if isinstance(v, (int, float)) else f'{k} {v}' for k, v in value.items())}")
        elif isinstance(value, (int, float)):
            print(f"  {key}: {value:.5g}")
        elif isinstance(value, str):
            print(f"  {key}: {value}")
        elif isinstance(value, list) and len(value) <= 12:
            for entry in value:
                print(f"  {key}: {entry}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hinet", default="build/release/hinet")
    parser.add_argument("--load", default="build/release/hinet_load")
    parser.add_argument("--bench", default="build/release/hinet_bench")
    parser.add_argument("--folder", help="where worlds and logs are kept from run to run [a temporary one]")
    parser.add_argument("--only", nargs="+", choices=sorted(FIGURES), default=list(FIGURES))
    parser.add_argument("--json", help="a file for everything that was measured")
    parser.add_argument("--seconds", type=float, default=10, help="of the end-to-end measurement")
    parser.add_argument("--rate", type=float, default=20, help="requests a second of it")
    parser.add_argument("--window", type=float, default=10, help="seconds of a window with or without reloads")
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=100000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--memory-rate", type=float, default=2000, help="requests a second of the memory measurement")
    parser.add_argument("--requests", type=int, default=1000000, help="of the memory measurement")
    options = parser.parse_args()
    bench, results = Bench(options), {}
    results["machine"] = serving.machine(bench.hinet)
    print("machine:", results["machine"])
    for name in options.only:
        begun = time.time()
        print(f"\n{name}: {FIGURES[name].__doc__}", flush=True)
        results[name] = FIGURES[name](bench)
        results[name]["load_average"], results[name]["took_s"] = os.getloadavg()[0], time.time() - begun
        show(name, results[name])
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps(results, indent=1, default=str))
    if not options.folder:
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    main()

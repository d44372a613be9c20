"""A `hinet serve` of the benchmark's own, pinned where it should run; the load generator; a
redis-server; and what /metrics says."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time


def pinned(cores):
    return ["taskset", "-c", ",".join(map(str, cores))] if cores and shutil.which("taskset") else []


class Server:
    def __init__(self, hinet, folder, config, cores=None, log=None):
        """`config`: SERVE.yaml's text, a bundle's path, or anything that `hinet serve` takes."""
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(config, str):
            (folder / "serve.yaml").write_text(config)
            config = folder / "serve.yaml"
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        self.log = open(log or folder / "server.log", "wb")
        self.process = subprocess.Popen([*pinned(cores), str(hinet), "serve", str(config), "--ready-file", str(ready)],
                                        stderr=self.log, stdout=self.log)
        end = time.time() + 120
        while not ready.exists():
            if self.process.poll() is not None or time.time() > end:
                raise RuntimeError((folder / "server.log").read_text())
            time.sleep(0.02)
        told = json.loads(ready.read_text())
        self.port, self.admin_port = told["port"], told["admin_port"] or told["port"]

    def ask(self, method, path, body=None, port=None, timeout=60, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metrics(self):
        """{name: sum over labels}, and phases {phase: (seconds, requests)}."""
        text = self.ask("GET", "/metrics", port=self.admin_port)[1].decode()
        values, phases = {}, {}
        for name, labels, value in re.findall(r"^(\w+)(\{.*\})? (\S+)$", text, re.M):
            values[name] = values.get(name, 0) + float(value)
            phase = re.search(r'phase="(\w+)"', labels or "")
            if phase and name.endswith(("_sum", "_count")):
                at = 0 if name.endswith("_sum") else 1
                phases.setdefault(phase[1], [0, 0])[at] += float(value)
        return values, phases

    def answered(self):
        text = self.ask("GET", "/metrics", port=self.admin_port)[1].decode()
        found = re.search(r'^hinet_requests_total\{code="200"\} (\S+)$', text, re.M)
        return float(found[1]) if found else 0

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def cpu_seconds(self):
        """Of all its threads that live."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="utf-8") as file:
                total += int(file.read().split()[0])
        return total * 1e-9

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.log.close()
        if code != 0:
            raise RuntimeError(f"the server ended with {code}")


class Load:
    """The generator, running; `result()` waits for it."""

    def __init__(self, program, port, bodies, rate, seconds, core=None, **options):
        words = [str(program), "--port", str(port), "--bodies", str(bodies), "--rate", str(rate), "--seconds", str(seconds)]
        for name, value in options.items():
            if name == "count":
                words += [x for text in value for x in ("--count", text)]
            elif value is True:
                words.append(f"--{name}")
            elif value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
        if core is not None:
            words += ["--core", str(core)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE)

    def stop(self):
        self.process.kill()
        self.process.communicate()

    def result(self):
        out, _ = self.process.communicate(timeout=3600)
        if self.process.returncode != 0:
            raise RuntimeError(f"hinet_load ended with {self.process.returncode}")
        return json.loads(out)


class Redis:
    def __init__(self, folder, core=None):
        self.socket, self.core = folder / "redis.sock", core
        self.url = f"redis+unix://{self.socket}"
        self.process = None
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([*pinned([self.core] if self.core is not None else None), "redis-server", "--port", "0", "--unixsocket",
                                         str(self.socket), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
        end = time.time() + 20
        while not self.socket.exists():
            if time.time() > end:
                raise RuntimeError("redis-server does not start")
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()


def machine(hinet):
    """Where the figures are from."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    version = subprocess.run([hinet, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {"cpu": model[1] if model else "?", "cores": len(os.sched_getaffinity(0)), "program": version,
            "load_average": os.getloadavg()[0], "time": time.strftime("%Y-%m-%d %H:%M")}

"""The server on a machine in trouble: a disk that is full or a file that may not grow, a kill at
any moment; and what a service manager asks of it."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from test_serve import Server, request_of, rows_of_one_user

UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "hinet.service"


@pytest.fixture(scope="module")
def rows(demo):
    return rows_of_one_user(demo)


def config(demo, folder, more):
    (folder / "serve.yaml").write_text(
        f"models: {demo.best}\nlisten: 127.0.0.1:0\nworkers: 2\nexposures: {{dir: {folder}/exposures, flush_seconds: 0.02{more}}}\n")
    return folder / "serve.yaml"


def counts(server):
    text = server.ask("GET", "/metrics")[2].decode()
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line.startswith("hinet_exposures_")}


def settled(server, lines):
    """The counts when all of so many lines have been written or lost."""
    end = time.time() + 20
    while True:
        now = counts(server)
        done = sum(now[f"hinet_exposures_{what}_total"] for what in ("written", "dropped", "failed"))
        if done == lines:
            return {what: int(now[f"hinet_exposures_{what}_total"]) for what in ("written", "dropped", "failed", "files")}
        assert time.time() < end, now
        time.sleep(0.02)


def lines_in(folder):
    if not shutil.which("zstdcat"):
        pytest.skip("zstdcat is not installed (Debian: zstd)")
    lines = 0
    for path in sorted(folder.glob("exposures-*")):
        assert path.suffix == ".zst", path  # nothing is left half-finished
        text = subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout
        lines += sum(1 for line in text.splitlines() if json.loads(line)["items"])
    return lines


def test_a_file_that_may_not_grow_costs_lines_not_answers(hinet, demo, rows, tmp_path):
    """A limit of 6 kB a file: frames that do not fit are lost and counted, the log goes on in new files."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    server = Server(hinet, tmp_path, config(demo, tmp_path, ""), preexec_fn=limit, stderr=subprocess.DEVNULL)
    asked = 60
    for n in range(asked):
        assert server.ask("POST", "/v1/rank", {**request_of(rows), "request_id": f"r{n}"})[0] == 200
        time.sleep(0.005)
    found = settled(server, asked)
    assert found["failed"] > 0 and found["written"] > 0 and found["files"] > 1 and found["dropped"] == 0
    assert server.stop() == 0
    assert lines_in(tmp_path / "exposures") == found["written"]


def test_a_full_disk_costs_lines_not_answers(hinet, demo, rows, tmp_path):
    """A real file system of 64 kB that fills up, and is emptied again."""
    inside = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run(
            [*inside, "mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here (unshare --map-root-user --mount)")
    path = config(demo, tmp_path, "")
    disk = tmp_path / "exposures"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=64k tmpfs "{disk}" && exec "$@"'
    server = Server(hinet, tmp_path, path, wrap=[*inside, "sh", "-c", mount, "sh"])
    there = pathlib.Path(f"/proc/{server.process.pid}/root{disk}")  # as the server sees it
    asked = 0
    while asked < 5000 and (asked % 20 or counts(server)["hinet_exposures_failed_total"] == 0):
        assert server.ask("POST", "/v1/rank", {**request_of(rows), "request_id": os.urandom(16).hex()})[0] == 200
        asked += 1
    full = settled(server, asked)
    assert full["failed"] > 0 and full["written"] > 0
    for file in there.glob("*.zst"):
        file.unlink()
    for _ in range(5):
        assert server.ask("POST", "/v1/rank", request_of(rows))[0] == 200
    again = settled(server, asked + 5)
    assert again["failed"] == full["failed"] and again["written"] == full["written"] + 5
    assert server.stop() == 0


def test_killed_at_any_moment(hinet, demo, rows, tmp_path):
    """kill -9 under requests: what was flushed is whole, and the next server finishes the file."""
    path = config(demo, tmp_path, "")
    answered = 0
    for delay in (0.1, 0.25, 0.4):
        server = Server(hinet, tmp_path, path)
        stop = threading.Event()
        answers = []

        def ask(server=server, stop=stop, answers=answers):
            while not stop.is_set():
                try:
                    answers.append(server.ask("POST", "/v1/rank", request_of(rows))[0])
                except (OSError, ValueError):
                    return

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(delay)
        server.stop(signal.SIGKILL)
        stop.set()
        thread.join()
        answered += answers.count(200)
    server = Server(hinet, tmp_path, path)
    assert server.stop() == 0
    assert 0 < lines_in(tmp_path / "exposures") <= answered + 3  # one may have been logged and not sent


def test_the_service_manager_is_told(hinet, demo, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        server = Server(hinet, tmp_path, demo.best, "--listen", "127.0.0.1:0", env={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1"
        assert server.stop() == 0
        assert manager.recv(100) == b"STOPPING=1"


def test_the_unit_is_right(hinet, tmp_path):
    """systemd's own check, with the program installed where a package would put it."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    build = pathlib.Path(hinet.path).resolve().parent
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{build} is no build folder")
    subprocess.run(["cmake", "--install", build, "--prefix", tmp_path / "usr"], capture_output=True, check=True)
    program = tmp_path / "usr" / "bin" / "hinet"
    assert subprocess.run([program, "--version"], capture_output=True, check=True, env={}).stdout.startswith(b"hinet ")
    unit = UNIT.read_text()
    assert "ExecStart=/usr/local/bin/hinet serve " in unit  # where `cmake --install` puts it
    (tmp_path / "hinet.service").write_text(unit.replace("/usr/local/bin/hinet", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", tmp_path / "hinet.service"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "hinet.service" not in done.stderr, done.stderr

"""The server end to end: the real program on a small bundle, real clients (http.client, curl,
tritonclient, promtool), reloads, hostile requests, draining."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

TOKEN = "a-token-of-the-tests-0123456789"


class Server:
    """`hinet serve` on ports of its own; its log lines are kept."""

    def __init__(self, hinet, folder, *args, wrap=(), env=None, **how):
        self.ready_file = folder / "ready.json"
        self.ready_file.unlink(missing_ok=True)
        self.log = open(folder / "server.log", "w+b")
        self.process = subprocess.Popen(
            [*map(str, wrap), hinet.path, "serve", *map(str, args), "--ready-file", str(self.ready_file)],
            **{"stderr": self.log, "env": {**os.environ, **(env or {})}, **how})
        end = time.time() + 60
        while not self.ready_file.exists():
            assert self.process.poll() is None and time.time() < end, self.lines()
            time.sleep(0.02)
        ready = json.loads(self.ready_file.read_text())
        self.port, self.admin_port = ready["port"], ready["admin_port"]
        assert ready["pid"] == self.process.pid

    def lines(self):
        return pathlib.Path(self.log.name).read_text()

    def ask(self, method, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request(method, path, body if body is None or isinstance(body, (bytes, str)) else json.dumps(body),
                               headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def admin(self, method, path, token=TOKEN):
        status, _, body = self.ask(method, path, headers={"Authorization": f"Bearer {token}"} if token else {},
                                   port=self.admin_port)
        return status, body

    def stop(self, sign=signal.SIGTERM):
        self.process.send_signal(sign)
        code = self.process.wait(30)
        self.log.close()
        return code


@pytest.fixture(scope="module", autouse=True)
def has_server(hinet):
    if "\n  serve " not in hinet.text("--help"):
        pytest.skip("this build has no `hinet serve`: a part of it is missing (CMakeLists.txt)")


@pytest.fixture(scope="module")
def folder(demo, tmp_path_factory):
    """A folder of versions with one in it, a config with an admin surface."""
    home = tmp_path_factory.mktemp("serve")
    (home / "models").mkdir()
    shutil.copy(demo.best, home / "models" / "1.hn")
    token = home / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    (home / "serve.yaml").write_text(
        "listen: 127.0.0.1:0\n"
        "admin:\n  listen: 127.0.0.1:0\n"
        f"  token_file: {token}\n"
        "workers: 2\n"
        "models: models\n")
    return home


@pytest.fixture(scope="module")
def server(hinet, folder):
    running = Server(hinet, folder, folder / "serve.yaml")
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0


def rows_of_one_user(demo):
    """Twelve test impressions as dictionaries, of one scenario and one user."""
    names = demo.header.split(",")
    rows = [dict(zip(names, line.split(","))) for line in demo.test_rows]
    first = rows[0]
    found = {}
    for row in rows:
        found.setdefault(row["item_id"], {**first, "item_id": row["item_id"], "position": row["position"]})
    return list(found.values())[:12]


@pytest.fixture(scope="module")
def rows(demo):
    return rows_of_one_user(demo)


def request_of(rows):
    """The natural request of rows that share user, scenario and context."""
    first = rows[0]
    return {"request_id": "r1", "scenario": first["scenario"],
            "user": {"id": first["user_id"], "recent_categories": first["recent_categories"].split("|")},
            "context": {"hour": int(first["hour"])},
            "candidates": [{"id": row["item_id"], "position": int(row["position"])} for row in rows]}


def test_ranks(server, rows):
    status, headers, body = server.ask("POST", "/v1/rank", request_of(rows))
    assert status == 200, body
    answer = json.loads(body)
    assert [item["rank"] for item in answer["items"]] == list(range(1, len(rows) + 1))
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["fallback"] is None and answer["flags"] == []
    assert headers["traceparent"].startswith("00-")


def test_the_same_numbers_as_predict(server, hinet, demo, rows):
    """Through /v1/rank, through /v2 and through `predict`: the same text."""
    answer = json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])
    ranked = {item["id"]: item["p"] for item in answer["items"]}
    csv = demo.header + "\n" + "".join(",".join(row[name] for name in demo.header.split(",")) + "\n" for row in rows)
    predicted = [line.split(",")[-2:] for line in
                 hinet.text("predict", demo.best, "-", "--calibrate", stdin=csv.encode()).splitlines()[1:]]
    inputs = server.ask("GET", "/v2/models/default")[2]
    names = [item["name"] for item in json.loads(inputs)["inputs"] if item["name"] in rows[0]]
    assert {"user_id", "scenario", "hour", "recent_categories", "item_id", "position"} <= set(names)
    tensors = [{"name": name, "datatype": "BYTES", "shape": [len(rows)], "data": [row[name] for row in rows]}
               for name in names]
    status, _, body = server.ask("POST", "/v2/models/default/infer", {"inputs": tensors})
    assert status == 200, body
    outputs = {output["name"]: output["data"] for output in json.loads(body)["outputs"]}
    for i, row in enumerate(rows):
        p = ranked[row["item_id"]]
        assert [f"{p['click']:.9g}", f"{p['order']:.9g}"] == [f"{float(x):.9g}" for x in predicted[i]]
        assert [outputs["click"][i], outputs["order"][i]] == pytest.approx([p["click"], p["order"]], rel=1e-7)


def test_metrics_pass_promtool(server, rows):
    server.ask("POST", "/v1/rank", request_of(rows))
    assert server.admin("GET", "/metrics", token=None)[0] == 401
    status, text = server.admin("GET", "/metrics")
    assert status == 200 and b"hinet_phase_seconds_bucket" in text
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode() + done.stdout.decode()


def test_alerts_pass_promtool():
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    alerts = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "alerts.yml"
    assert subprocess.run(["promtool", "check", "rules", alerts], capture_output=True, check=False).returncode == 0


def test_every_metric_is_documented(server):
    text = server.admin("GET", "/metrics")[1].decode()
    documented = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            assert f"`{line.split()[2]}`" in documented, line


def test_admin_is_guarded(server):
    assert server.ask("GET", "/admin/models")[0] == 404
    assert server.ask("GET", "/metrics")[0] == 404
    for token in (None, "", TOKEN[:-1], TOKEN + "x", "b" * len(TOKEN)):
        assert server.admin("GET", "/admin/models", token)[0] == 401
    assert server.admin("GET", "/admin/models")[0] == 200
    assert server.admin("GET", "/admin/config")[0] == 200
    assert server.admin("POST", "/admin/models/nobody/reload")[0] == 404
    assert server.admin("POST", "/admin/models/default/explode")[0] == 404
    assert server.admin("POST", "/admin/models/default/pin")[0] == 400
    assert server.admin("GET", "/admin/models/default/reload")[0] == 405


def test_a_readable_token_file_is_refused(hinet, folder, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    config = tmp_path / "serve.yaml"
    config.write_text((folder / "serve.yaml").read_text().replace(str(folder / "token"), str(token))
                      .replace("models: models", f"models: {folder / 'models'}"))
    hinet.fails(78, "chmod 600", "serve", config)


def test_reload_under_requests(server, folder, rows):
    failures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            status, _, body = server.ask("POST", "/v1/rank", request_of(rows))
            if status != 200:
                failures.append((status, body))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(2, 7):
        shutil.copy(folder / "models" / "1.hn", folder / "models" / ".new")
        os.rename(folder / "models" / ".new", folder / "models" / f"{version}.hn")
        status, body = server.admin("POST", "/admin/models/default/reload")
        assert status == 200, body
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])["version"] == "6"
    assert server.admin("POST", "/admin/models/default/rollback")[0] == 200
    assert json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])["version"] == "5"
    assert server.admin("POST", "/admin/models/default/unpin")[0] == 200


def test_a_refused_version_is_told(server, folder, rows):
    serving = json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])["version"]
    broken = folder / "models" / "99.hn"
    broken.write_bytes((folder / "models" / "1.hn").read_bytes()[:5000])
    try:
        for _ in range(2):  # also when the refusal is remembered
            status, body = server.admin("POST", "/admin/models/default/reload")
            text = json.loads(body)["error"]
            assert status == 409 and 'version "99" is refused: ' in text and text.endswith(f'"{serving}" is served'), body
        assert json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])["version"] == serving
        model = json.loads(server.admin("GET", "/admin/models")[1])["models"][0]
        assert model["current"]["version"] == serving and model["refused"][-1]["version"] == "99"
        assert model["current"]["calibrated"] and model["current"]["profile"] and model["current"]["golden_rows"] > 0
    finally:
        broken.unlink()
    assert server.admin("POST", "/admin/models/default/reload")[0] == 200


def test_unloaded(server, rows):
    """Without a model: not ready, the order given, and back again."""
    assert server.admin("POST", "/admin/models/default/unload")[0] == 200
    try:
        status, headers, _ = server.ask("GET", "/ready")
        assert status == 503 and headers["Retry-After"] == "1"
        answer = json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])
        assert answer["fallback"] == "order" and answer["version"] is None and answer["flags"] == ["fallback"]
        assert [item["id"] for item in answer["items"]] == [row["item_id"] for row in rows]
        status, headers, _ = server.ask("GET", "/v2/models/default")
        assert status == 503 and headers["Retry-After"] == "1"
    finally:
        assert server.admin("POST", "/admin/models/default/reload")[0] == 200
    assert server.ask("GET", "/ready")[0] == 200


HOSTILE = [
    (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"\x00\xff\xfe", 400), (b"[" * 5000, 400),
    (b'{"scenario":1,"candidates":7}', 400), (b'{"user":[]}', 400), (b'{"candidates":[{"id":"a"}],"user":{"id":{}}}', 400),
]


@pytest.mark.parametrize("body,status", HOSTILE)
def test_hostile_bodies(server, body, status):
    found, _, text = server.ask("POST", "/v1/rank", body)
    assert found == status and json.loads(text)["error"]


def test_errors_have_one_shape(server, rows):
    """Below /v1 a code and a message, whoever finds the fault; of the protocol a text."""
    body = json.dumps(request_of(rows))
    late = {"X-Deadline-Ms": "0.000001"}
    for method, path, headers, text, status, code in [
            ("GET", "/v1/rank", {}, None, 405, "wrong_method"), ("POST", "/v1/rnk", {}, body, 404, "not_found"),
            ("POST", "/v1/rank", {"X-Deadline-Ms": "soon"}, body, 400, "bad_request"),
            ("POST", "/v1/rank", {"Content-Encoding": "gzip"}, body, 415, "encoded"),
            ("POST", "/v1/rank", {"Content-Length": "99999999999"}, None, 413, "too_large"),
            ("POST", "/v1/rank", late, body, 503, "overloaded"), ("POST", "/v1/rank", {}, body[:-9], 400, "bad_json"),
            ("POST", "/v1/rank", {}, '{"candidates": [], "usr": 1}', 400, "unknown_field")]:
        found, _, answer = server.ask(method, path, text, headers)
        error = json.loads(answer)["error"]
        assert (found, error["code"]) == (status, code) and error["message"], (path, answer)
        assert set(error) == {"code", "message"}
    assert isinstance(json.loads(server.ask("POST", "/v2/models/default/infer", "{", {})[2])["error"], str)
    assert isinstance(json.loads(server.ask("POST", "/v2/models/default/infer", body, late)[2])["error"], str)


def test_the_config_as_served(hinet, demo, tmp_path):
    """Every option by its name in SERVE.yaml, defaults too, and no secret."""
    (tmp_path / "serve.yaml").write_text(
        f"models: {{main: {demo.best}, other: {demo.best}}}\nlisten: 127.0.0.1:0\nadmin: unix:{tmp_path}/admin.sock\n"
        "fusion: {home: click * order, others: order}\n"
        "experiments: {ranking: {holdout: 0.1, arms: {a: 0.2, b: {share: 0.3, model: other, calibration: off, fallback: order, users: [7]}}}}\n"
        "store: {url: 'redis://me:hidden-word@127.0.0.1:1/0', tables: users}\n"
        "exposures: {dir: shown, user_key: hidden-word-of-16-bytes}\n")
    server = Server(hinet, tmp_path, tmp_path / "serve.yaml")
    text = subprocess.run(["curl", "-sS", "--fail", "--unix-socket", tmp_path / "admin.sock", "http://admin/admin/config"],
                          capture_output=True, check=True).stdout.decode()
    assert server.stop() == 0
    assert "hidden-word" not in text
    found = json.loads(text)
    assert found["fusion"] == {"home": "click * order", "others": "order"} and found["fallback"] == ["previous", "prior", "order"]
    assert found["experiments"]["ranking"] == {
        "salt": "ranking", "scenarios": [], "holdout": 0.1, "arms": {
            "a": {"share": 0.2, "users": []},
            "b": {"share": 0.3, "users": ["7"], "model": "other", "calibration": False, "fallback": ["order"]}}}
    assert found["store"]["url"] == "redis://127.0.0.1:1/0" and found["exposures"]["user_key"] == "(not shown)"
    reference = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "serving-config.md").read_text()
    section = ""
    for line in reference.splitlines():
        section = line.split("`")[1] if line.startswith("## `") else "" if line.startswith("## ") else section
        if not line.startswith("| `") or "." in section or "`a < b`" in line or line.count("|") < 5:
            continue
        name = line.split("`")[1]
        assert name in (found[section] if section else found) or name in ("model", "fusion"), (section, name)


def test_truncated_requests_cost_nothing(server, rows):
    body = json.dumps(request_of(rows)).encode()
    whole = b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    open_ones = []
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(whole[:length])
        half = socket.create_connection(("127.0.0.1", server.port))
        half.sendall(whole[:length])
        open_ones.append(half)
    assert server.ask("POST", "/v1/rank", request_of(rows))[0] == 200
    for half in open_ones:
        half.close()


def test_curl(server, rows):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    done = subprocess.run(
        ["curl", "-sS", "--fail", "-H", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "-D", "-",
         "--data-binary", json.dumps(request_of(rows)), f"http://127.0.0.1:{server.port}/v1/rank"],
        capture_output=True, check=True)
    assert b"00-0af7651916cd43dd8448eb211c80319c-" in done.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/serving.md"])
def test_the_requests_of_the_docs(server, page):
    found = re.findall(r"/v1/rank -d '(\{.*?\})'", (pathlib.Path(__file__).resolve().parents[2] / page).read_text(), re.DOTALL)
    assert found
    for body in found:
        status, _, answer = server.ask("POST", "/v1/rank", body)
        assert status == 200, answer
        answer = json.loads(answer)
        assert answer["fallback"] is None and "unknown_scenario" not in answer["flags"]
        assert len(answer["items"]) == json.loads(body)["limit"]


def test_wrk(server, rows, tmp_path):
    """A load generator of others: no request fails, no socket breaks."""
    if not shutil.which("wrk"):
        pytest.skip("wrk is not installed (Debian: wrk)")
    script = tmp_path / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = [==[{json.dumps(request_of(rows))}]==]\n")
    done = subprocess.run(["wrk", "-t1", "-c8", "-d1s", "--timeout", "20s", "-s", script, f"http://127.0.0.1:{server.port}/v1/rank"],
                          capture_output=True, text=True, check=True)
    assert int(done.stdout.split(" requests in ")[0].split()[-1]) > 20, done.stdout
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient(server, rows, binary):
    """The protocol's own client: liveness, metadata, and the numbers of /v1/rank."""
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("default")
    assert not client.is_model_ready("nobody")
    metadata = client.get_model_metadata("default")
    assert metadata["name"] == "default"
    names = [item["name"] for item in metadata["inputs"] if item["name"] in rows[0]]
    inputs = []
    for name in names:
        tensor = triton.InferInput(name, [len(rows)], "BYTES")
        tensor.set_data_from_numpy(np.array([row[name].encode() for row in rows], dtype=object), binary_data=binary)
        inputs.append(tensor)
    outputs = [triton.InferRequestedOutput(task, binary_data=binary) for task in ("click", "order")]
    answer = client.infer("default", inputs, outputs=outputs, request_id="t1")
    assert answer.get_response()["id"] == "t1"
    ranked = {item["id"]: item["p"] for item in
              json.loads(server.ask("POST", "/v1/rank", request_of(rows))[2])["items"]}
    for task in ("click", "order"):
        assert answer.as_numpy(task).tolist() == [
            pytest.approx(ranked[row["item_id"]][task], rel=1e-7) for row in rows]
    with pytest.raises(Exception, match="nobody"):
        client.infer("default", inputs, outputs=[triton.InferRequestedOutput("nobody", binary_data=binary)])
    client.close()


def test_sigterm_drains(hinet, demo, rows, tmp_path):
    server = Server(hinet, tmp_path, demo.best, "--listen", "127.0.0.1:0", "--threads", "1")
    assert server.ask("GET", "/ready")[0] == 200
    assert server.ask("GET", "/metrics")[0] == 200  # without an admin surface it is here
    results = []

    def ask():
        for _ in range(50):
            try:
                results.append(server.ask("POST", "/v1/rank", request_of(rows))[0])
            except ConnectionRefusedError:
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert results and set(results) == {200}
    events = server_events(tmp_path)
    assert events[0] == "start" and "listening" in events and events[-2:] == ["drained", "model"]  # freed


def test_a_drain_waits_for_no_client_that_left(hinet, demo, tmp_path):
    server = Server(hinet, tmp_path, demo.best, "--listen", "127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/rank HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(0.2)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 5  # body_seconds is 10


def test_a_second_signal_ends_it_at_once(hinet, demo, tmp_path):
    """While a client keeps its request back, the drain waits; a second signal does not."""
    server = Server(hinet, tmp_path, demo.best, "--listen", "127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/rank HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        assert server.stop() == 130


def server_events(folder):
    lines = (folder / "server.log").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]

"""`hinet simulate --serve` against a stub that speaks /v1/rank: what it sends, what it
writes, what it knows of the truth, and how it tells of a server that fails."""

import csv
import http.server
import json
import threading

import pytest


class Stub:
    """Ranks by a key of the candidate's number; keeps every request."""

    def __init__(self, key=None, fail_every=0):
        self.requests, self.key, self.fail_every, self.connections = [], key, fail_every, set()
        stub, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one segment: two small ones would wait for each other's
            # acknowledgement (Nagle's algorithm and delayed ACK), 40 ms a request.
            wbufsize = -1

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    stub.requests.append((self.path, body))
                    stub.connections.add(self.client_address)
                    fails = stub.fail_every and len(stub.requests) % stub.fail_every == 0
                self.answer(503 if fails else 200, {"error": "busy"} if fails else stub.rank(body))

            def answer(self, status, json_body):
                text = json.dumps(json_body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rank(self, body):
        ids = [candidate["id"] for candidate in body["candidates"]]
        if self.key:
            ids.sort(key=lambda item: self.key(int(item)))
        arm = "even" if int(body["user"]["id"]) % 2 == 0 else "odd"
        return {"request_id": body["request_id"], "model": "stub", "arms": {"ranking": arm}, "fallback": None,
                "items": [{"id": item, "rank": n + 1} for n, item in enumerate(ids[: body["limit"]])]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stub():
    stub = Stub()
    yield stub
    stub.close()


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_requests_and_what_users_do(hinet, stub, demo, tmp_path):
    report = hinet.json("simulate", "--serve", stub.url, "--data", demo.folder, "--requests", 500, "--out", tmp_path)
    assert (report["answered"], report["failed"]) == (500, 0)
    assert len(stub.requests) == 500 and {path for path, _ in stub.requests} == {"/v1/rank"}
    assert len(stub.connections) <= 4
    bodies = {body["request_id"]: body for _, body in stub.requests}
    assert len(bodies) == 500
    for body in bodies.values():
        assert len({c["id"] for c in body["candidates"]}) == 50 and body["limit"] == 10
        assert 0 <= body["context"]["hour"] <= 23 and len(body["user"]["recent_categories"]) == 6
        assert body["scenario"] in demo.truth["scenarios"]
    clicks, orders = rows_of(tmp_path / "clicks.csv"), rows_of(tmp_path / "orders.csv")
    clicked = {(row["request_id"], row["item"]) for row in clicks}
    assert clicked and {(row["request_id"], row["item"]) for row in orders} <= clicked
    for row in clicks:
        shown = [c["id"] for c in bodies[row["request_id"]]["candidates"][:10]]
        assert row["item"] in shown and float(row["value"]) > 0
    assert len(clicks) == sum(arm["clicks"] for arm in report["arms"])
    # The dice come out near what the truth expects: within four standard deviations.
    expected = sum(arm["expected_clicks"] for arm in report["arms"])
    assert abs(len(clicks) - expected) < 4 * expected**0.5
    assert {arm["arms"] for arm in report["arms"]} == {"ranking=even", "ranking=odd"}


def test_the_same_seed_gives_the_same_users(hinet, stub, tmp_path):
    bodies = []
    for name in "ab":
        stub.requests.clear()
        hinet("simulate", "--serve", stub.url, "--rows", "40k", "--seed", 5, "--requests", 100, "--out", tmp_path / name)
        bodies.append(sorted(json.dumps(body) for _, body in stub.requests))
    assert bodies[0] == bodies[1]
    pairs = [[(row["request_id"], row["item"]) for row in rows_of(tmp_path / name / "clicks.csv")] for name in "ab"]
    assert pairs[0] == pairs[1]


def test_first_gives_other_requests(hinet, stub, demo, tmp_path):
    """A second run goes on where the first one ended: the same users, other requests."""
    ids = []
    for first in (0, 50, 100):
        stub.requests.clear()
        hinet("simulate", "--serve", stub.url, "--data", demo.folder, "--requests", 100, "--first", first, "--out", tmp_path)
        ids.append({body["request_id"] for _, body in stub.requests})
    assert len(ids[0] & ids[1]) == 50 and not ids[0] & ids[2]
    hinet.fails(2, "first request", "simulate", "--serve", stub.url, "--first", "2000G", "--out", tmp_path)


def test_true_gain_of_a_better_server(hinet, stub, demo, tmp_path):
    """Popularity in the log is a better order than none: the true gain says so, and the
    same lists have no gain at all."""
    header, rows = demo.log_lines()
    at = {name: n for n, name in enumerate(header.split(","))}
    shown, ordered = {}, {}
    for row in rows:
        cells = row.split(",")
        item = int(cells[at["item_id"]])
        shown[item] = shown.get(item, 0) + 1
        ordered[item] = ordered.get(item, 0) + int(cells[at["click"]])
    better = Stub(lambda item: -(ordered.get(item, 0) + 1) / (shown.get(item, 0) + 10))
    args = ["simulate", "--serve", stub.url, "--data", demo.folder, "--requests", 600, "--out", tmp_path, "--against"]
    found = hinet.json(*args, better.url)["true_gain"][0]
    same = hinet.json(*args, stub.url)["true_gain"][0]
    better.close()
    assert found["scenario"] is None and found["requests"] == 600
    assert found["order_gain"] > 3 * found["order_gain_error"] > 0
    assert same["order_gain"] == 0 and same["order_gain_error"] == 0


def test_some_failures_are_counted(hinet, demo, tmp_path):
    stub = Stub(fail_every=10)
    report = hinet.json("simulate", "--serve", stub.url, "--data", demo.folder, "--requests", 200, "--out", tmp_path)
    stub.close()
    assert (report["answered"], report["failed"]) == (180, 20)
    assert "503" in report["first_failure"]


def test_no_server_is_an_error(hinet, demo, tmp_path):
    hinet.fails(74, "none of the first", "simulate", "--serve", "http://127.0.0.1:9", "--data", demo.folder,
                "--out", tmp_path, "--requests", 10)
    hinet.fails(2, "http://HOST:PORT", "simulate", "--serve", "127.0.0.1:9", "--out", tmp_path)
    hinet.fails(66, "truth.json", "simulate", "--serve", "http://127.0.0.1:9", "--data", tmp_path / "absent", "--out",
                tmp_path)
    assert not (tmp_path / "clicks.csv").exists()

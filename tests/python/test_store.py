"""The feature store end to end: a table pushed into a real Redis gives the scores that the bundle's
own table gives; without Redis answers go on, flagged and counted, and come back by themselves."""

import json
import re
import shutil
import subprocess
import time

import pytest
from test_serve import TOKEN, Server

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed (Debian: redis-server)")


class Redis:
    def __init__(self, folder):
        self.socket = folder / "redis.sock"
        self.url = f"redis+unix://{self.socket}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"],
                                        stdout=subprocess.DEVNULL)
        end = time.time() + 20
        while self.do("PING") != "PONG":
            assert time.time() < end
            time.sleep(0.02)

    def do(self, *words):
        done = subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)


@pytest.fixture
def redis(tmp_path):
    running = Redis(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def serve(hinet, demo):
    """Starts servers; what a failed test left is ended."""
    running = []

    def start(folder, store):
        running.append(start_server(hinet, demo, folder, store))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def start_server(hinet, demo, folder, store):
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    config = folder / "serve.yaml"
    config.write_text(f"listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0, token_file: {token}}}\nworkers: 1\nmodels: {demo.best}\n"
                      f"deadline_ms: 5000\n{store}")
    return Server(hinet, folder, config)


def scores(server, body):
    status, _, text = server.ask("POST", "/v1/rank", body)
    assert status == 200, text
    answer = json.loads(text)
    return {item["id"]: item["p"] for item in answer["items"]}, answer


def counter(server, name):
    text = server.admin("GET", "/metrics")[1].decode()
    return sum(float(x) for x in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


@pytest.fixture
def body(demo):
    row = dict(zip(demo.header.split(","), demo.test_rows[0].split(",")))
    items = (demo.folder / "items.csv").read_text().splitlines()[1:9]
    return {"scenario": row["scenario"], "user": {"id": row["user_id"]}, "context": {"hour": int(row["hour"])},
            "candidates": [{"id": line.split(",")[0]} for line in items]}


def test_store_gives_what_the_tables_give(hinet, demo, serve, redis, body, tmp_path):
    (tmp_path / "a").mkdir()
    plain = serve(tmp_path / "a", "")
    expected, _ = scores(plain, body)
    assert plain.stop() == 0
    for table in ("users", "items"):
        report = hinet.json("features", "push", demo.config, table, "--redis", redis.url, "--quiet")
        assert report["rows"] == len((demo.folder / f"{table}.csv").read_text().splitlines()) - 1
    server = serve(tmp_path, f"store: {{url: '{redis.url}', tables: [users, items], timeout_ms: 2000, cache_seconds: 0}}\n")
    assert scores(server, body)[0] == expected
    assert counter(server, "hinet_store_reads_total") == 9
    assert counter(server, "hinet_store_late_total") == 0
    # What is in Redis is what is scored: another age, another score.
    assert redis.do("HSET", f"hinet:users:{body['user']['id']}", "age", "never-seen", "city", "never-seen") == "0"
    assert scores(server, body)[0] != expected
    assert server.stop() == 0


def test_redis_goes_and_comes(hinet, demo, serve, redis, body, tmp_path):
    def fill():
        hinet("features", "push", demo.config, "users", "--redis", redis.url, "--quiet")
        redis.do("HSET", f"hinet:users:{body['user']['id']}", "age", "never-seen", "city", "never-seen")

    fill()
    server = serve(tmp_path, f"store: {{url: '{redis.url}', tables: [users], timeout_ms: 1000, cache_seconds: 0}}\n")
    whole, answer = scores(server, body)
    assert answer["late_features"] == 0
    redis.kill()
    begun = time.time()
    for _ in range(20):
        less, answer = scores(server, body)
        assert "late_features" in answer["flags"] and answer["late_features"] > 0
    assert time.time() - begun < 5
    assert less != whole and set(less) == set(whole)  # the bundle's own row stands in
    assert counter(server, "hinet_store_late_total") == 20
    redis.start()
    fill()
    end = time.time() + 10
    while scores(server, body)[0] != whole:
        assert time.time() < end
        time.sleep(0.05)
    assert server.stop() == 0


def test_push_says_what_is_wrong(hinet, demo, redis, tmp_path):
    hinet.fails(2, "did you mean users?", "features", "push", demo.config, "user", "--redis", redis.url)
    hinet.fails(2, "expected push", "features", "pull", demo.config, "users", "--redis", redis.url)
    hinet.fails(2, "--redis URL is missing", "features", "push", demo.config, "users")
    hinet.fails(78, "another scheme", "features", "push", demo.config, "users", "--redis", "http://x")
    hinet.fails(74, "cannot be reached", "features", "push", demo.config, "users", "--redis", "redis://127.0.0.1:1")
    users = (demo.folder / "users.csv").read_text().splitlines()
    (tmp_path / "users.csv").write_text("\n".join([*users[:3], "x,y", *users[3:]]) + "\n")
    hinet.fails(65, "users.csv:4:", "features", "push", demo.config, "users", "--redis", redis.url, "--quiet",
                "--set", f"tables.users.files={tmp_path / 'users.csv'}")

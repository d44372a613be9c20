"""Requests that no friend sends, each with the statuses that are right for it. `plans` yields
(name, bytes of a whole request, set of right statuses, whether the connection lives on); status 0
is a connection that ends without an answer."""

import json
import random

HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n"


def post(body, path=b"/v1/rank", headers=b"", length=None):
    return HEAD % (path, headers, len(body) if length is None else length) + body


def wrong_types(rng, request):
    """The request with one member of a type that it cannot have."""
    broken = json.loads(json.dumps(request))
    where = rng.randrange(7)
    if where == 0:
        broken["candidates"] = rng.choice([7, "x", {}, None, True])
    elif where == 1:
        broken["candidates"][0] = rng.choice([7, "x", [], None])
    elif where == 2:
        broken["user"] = rng.choice([7, "x", [], True])
    elif where == 3:
        broken["user"]["id"] = rng.choice([{}, [1]])
    elif where == 4:
        broken["limit"] = rng.choice([-1, "x", 1.5, []])
    elif where == 5:
        broken["scenario"] = rng.choice([{}, [], True])
    else:
        broken["context"]["hour"] = rng.choice([{}, {"a": 1}])
    return json.dumps(broken).encode()


def mutated(rng, body):
    out = bytearray(body)
    for _ in range(rng.randrange(1, 8)):
        kind, at = rng.randrange(3), rng.randrange(len(out))
        if kind == 0:
            out[at] = rng.randrange(256)
        elif kind == 1:
            del out[at:at + rng.randrange(1, 20)]
        else:
            out[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
        if not out:
            out = bytearray(b"x")
    return bytes(out)


def plans(bodies, limits, seed=1):
    """Endless, in seeded order; `limits`: body_bytes, header_bytes, candidates, depth of the server."""
    rng = random.Random(seed)
    valid = [body.encode() for body in bodies]
    requests = [json.loads(body) for body in bodies]
    bad = {400}
    while True:
        body, request = rng.choice(valid), rng.choice(requests)
        kind = rng.randrange(20)
        if kind == 0:
            yield "cut JSON", post(body[:rng.randrange(1, len(body))]), bad, True
        elif kind == 1:
            yield "wrong types", post(wrong_types(rng, request)), bad, True
        elif kind == 2:
            yield "mutated JSON", post(mutated(rng, body)), {200, 400, 413}, True
        elif kind == 3:
            yield "random bytes", post(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300)))), bad, True
        elif kind == 4:
            yield "empty body", post(b""), bad, True
        elif kind == 5:
            opening = rng.choice([b"[", b'{"a":'])
            yield "too deep", post(opening * rng.randrange(limits["depth"] + 1, 5000)), bad, True
        elif kind == 6:
            many = b'{"candidates":[' + b",".join([b'{"id":"1"}'] * (limits["candidates"] + rng.randrange(1, 9))) + b"]}"
            yield "too many candidates", post(many), {413}, True
        elif kind == 7:
            yield "body above its limit", post(b"", length=limits["body_bytes"] + rng.randrange(1, 1 << 40)), {413}, False
        elif kind == 8:
            yield "head above its limit", post(body, headers=b"X-Long: " + b"a" * (limits["header_bytes"] + rng.randrange(1, 9999)) + b"\r\n"), {431, 413, 400}, False
        elif kind == 9:
            yield "no such path", post(body, path=rng.choice([b"/", b"/v1", b"/v1/rank/", b"/../etc/passwd", b"/admin/models", b"/%00", b"/v1/rank%2f"])), {404, 400}, True
        elif kind == 10:
            method = rng.choice([b"GET", b"PUT", b"DELETE", b"PATCH"])
            yield "wrong method", method + b" /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", {405}, True
        elif kind == 11:
            yield "not HTTP", bytes(rng.randrange(1, 256) for _ in range(rng.randrange(4, 200))) + b"\r\n\r\n", {400, 405, 404, 505, 501, 0}, False
        elif kind == 12:
            yield "encoded body", post(body, headers=b"Content-Encoding: gzip\r\n"), {415}, True
        elif kind == 13:
            number = rng.choice([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x1", b"01", b"+1"])
            yield "no JSON number", post(b'{"candidates":[{"id":"1"}],"context":{"hour":' + number + b"}}"), bad, True
        elif kind == 14:
            text = rng.choice([b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"a\x00b", b"\\ud800", b"\\udc00\\ud800"])
            yield "bad text", post(b'{"candidates":[{"id":"' + text + b'"}]}'), bad, True
        elif kind == 15:
            yield "bad length", HEAD.replace(b"%d", rng.choice([b"-1", b"x", b"1e3", b"99999999999999999999999", b"0x10"])) % (b"/v1/rank", b"") + body, {400, 413}, False
        elif kind == 16:
            name = rng.choice(["x" * rng.randrange(1, 3000), "user_id; drop", "__proto__", "", "\u202e"])
            yield "unknown field", post(json.dumps({**request, "user": {**request["user"], name: 1}}).encode()), bad, True
        elif kind == 17:
            yield "cut request", post(body)[:rng.randrange(1, len(body))], {0}, False
        elif kind == 18:
            path = rng.choice([b"/v2/models/none/infer", b"/v2/models/default/infer", b"/v2/models/default/versions/none/infer"])
            yield "infer nonsense", post(rng.choice([body, b"{}", b"[]", b'{"inputs":7}', b'{"inputs":[{"name":"x","shape":[-1],"datatype":"BYTES","data":[]}]}']), path=path), {400, 404}, True
        else:
            yield "head without end", b"POST /v1/rank HTTP/1.1\r\nX: " + b"a" * rng.randrange(100), {0}, False

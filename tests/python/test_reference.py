"""Every model of the C model table against reference.py: logits, losses and all gradients, in
the release build (float32, the fast products) and the double build (float64, the naive ones).
tests/train/test_export.c writes the C side; parameters and inputs travel in packs. Rows whose
pre-activations come closer than 1e-4 to ReLU's kink are replaced by others."""

import json
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from pack import DamagedPack, read_pack, xxh3
from reference import Reference, scaled_sum
from reference_weighting import Weighting, norms, task_losses
from tape import Value, backward, bce, concat, exp, log_sum_exp, mean, relu, rsqrt, sigmoid, softmax, total

BUILDS = pathlib.Path(os.environ.get("HN_BUILDS", ROOT / "build"))
TOLERANCE = {"release": 1e-5, "double": 1e-11}
# Float32 cases that miss it, with what they need on some CPUs. Norms of three or four numbers, level after
# level, magnify rounding; where there is none, one or two gradients are sums that nearly cancel.
MAGNIFIED = {"hinet_plus_across": 5e-5, "hinet_plus_levels": 5e-5, "side_norm_dropout": 1e-4, "ple_options": 1e-4,
             "pairs_levels": 4e-4, "levels_no_shared": 5e-5, "own_only_levels": 5e-5, "star_no_units": 5e-5}
TYPE = {"release": np.float32, "double": np.float64}
KINK = 1e-4
TABLE_KINK = 1e-5  # of SAN's MLP, which has no rows to choose from
ROWS = 260  # of a batch: more than two tiles and all shards
CASES = re.findall(r"\bCASE\((\w+)\)", (ROOT / "tests/model/cases.c").read_text().split("model_cases[] =")[1])
WEIGHTED = re.findall(r'\{"(\w+)", (true|false), (true|false)\}', (ROOT / "tests/train/test_export.c").read_text())
STEPS = range(5)  # of a replay with weights of tasks
WORLDS = range(4)
EMPTY = {3: 2}  # in world 3 nobody is in scenario 2


# ---- The tape and the pack reader by themselves ---------------------------------------------------


def central_difference(of, x, direction, h=1e-6):
    kept = x.copy()
    x += h * direction
    up = of()
    x[...] = kept - h * direction
    down = of()
    x[...] = kept
    return (up - down) / (2 * h)


@pytest.mark.parametrize("operation, shapes", [
    (lambda a, b: a + b, [(3, 4), (3, 4)]),
    (lambda a, b: a + b, [(3, 4), (4,)]),
    (lambda a, b: a * b, [(3, 4), (3, 1)]),
    (lambda a, b: a * b, [(3, 4), (1, 4)]),
    (lambda a: a * 2.5 + 1.0, [(2, 3)]),
    (lambda a: a * a, [(2, 3)]),
    (lambda a, b: a @ b, [(3, 4), (4, 2)]),
    (lambda a: a[1, :, 2], [(2, 3, 4)]),
    (lambda a: a[np.array([0, 2, 2, 1, 2])], [(3, 2)]),
    (lambda a: relu(a), [(5, 6)]),
    (lambda a: softmax(a), [(4, 5)]),
    (lambda a, b: a - b, [(3, 4), (3, 1)]),
    (lambda a: sigmoid(a), [(3, 4)]),
    (lambda a: exp(a), [(3, 4)]),
    (lambda a: rsqrt(a * a + 0.5), [(3, 4)]),
    (lambda a: mean(a), [(3, 4)]),
    (lambda a: log_sum_exp(a), [(3, 4)]),
    (lambda a, b: concat([a, b, a]), [(3, 2), (3, 4)]),
    (lambda a: bce(a * 3.0, np.array([[0.0, 1, 1], [1, 0, 1]])), [(2, 3)]),
])
def test_the_tape_against_differences(operation, shapes):
    rng = np.random.default_rng(sum(map(len, shapes)))
    leaves = [Value(rng.normal(size=shape)) for shape in shapes]
    seed = rng.normal(size=operation(*leaves).shape)

    def root():
        return total(operation(*leaves) * seed)

    backward(root())
    gradients = [leaf.grad for leaf in leaves]
    for leaf, gradient in zip(leaves, gradients):
        for k in np.ndindex(leaf.shape):
            unit = np.zeros(leaf.shape)
            unit[k] = 1
            found = central_difference(lambda: root().data, leaf.data, unit)
            assert gradient[k] == pytest.approx(found, rel=1e-6, abs=1e-7)


def test_bce_of_large_logits_is_finite():
    z = Value([-800.0, 800.0, -800.0, 800.0])
    losses = bce(z, np.array([0.0, 1, 1, 0]))
    assert losses.data.tolist() == [0, 0, 800, 800]
    backward(total(losses))
    assert z.grad.tolist() == [0, 0, -1, 1]


def test_the_checksum_is_xxh3():
    assert xxh3(b"") == 0x2D06800538D394C2  # as its specification says


# ---- What the C side wrote ---------------------------------------------------------------------------


def scalar(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def resolved(text):
    """The mapping that the resolved YAML of a section is: `key: value` lines, some below a `key:`."""
    outer, inner = {}, None
    for line in text.splitlines():
        key, value = line.strip().split(":", 1)
        if not value:
            inner = outer[key] = {}
        else:
            (inner if line.startswith(" ") else outer)[key] = scalar(value.strip())
    return outer


class Export:
    """A folder that one build's export program fills, in two runs (see test_export.c)."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.program = BUILDS / build / "train_test_export"
        if not self.program.exists():
            pytest.skip(f"{self.program} is not built: run `make test-{build}` first")
        by_seed, left = {}, list(CASES)
        for seed in range(20, 400, len(WORLDS)):
            self.run(seed, left)
            by_seed[seed] = [case for case in left if self.tables_are_well(case)]
            left = [case for case in left if case not in by_seed[seed]]
            if not left:
                break
        else:
            pytest.fail(f"no seed keeps SAN's MLP of {left} alive and away from the kink")
        self.kept = {(case, world): self.choose_rows(case, world) for case in CASES for world in WORLDS}
        for seed, cases in by_seed.items():
            self.run(seed, cases)

    def run(self, seed, cases):
        env = {**os.environ, "HN_EXPORT_DIR": str(self.folder), "HN_EXPORT_SEED": str(seed),
               "HN_EXPORT_CASES": f" {' '.join(cases)} "}
        done = subprocess.run([str(self.program)], env=env, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    def read(self, case, world, what):
        return read_pack(self.folder / f"{case}.{world}.{what}.pack", b"TEST")

    def given(self, case, world, rows=None):
        """Inputs and parameters, of some of the rows; every number becomes a float64 later."""
        given = self.read(case, world, "in")
        meta = json.loads(given.pop("meta"))
        meta["model"] = resolved(meta["model"])
        for name, numbers in given.items():
            if name.startswith(("param/", "table/")):
                assert numbers.dtype == TYPE[self.build], name
        if rows is not None:
            begin, ids = given["list_begin"].ravel(), given["list_ids"].ravel()
            lists = [ids[begin[r]:begin[r + 1]] for r in rows]
            given["list_begin"] = np.cumsum([0, *map(len, lists)])
            given["list_ids"] = np.concatenate(lists)
            for name in ("scenario", "ids", "values", "labels", "weights"):
                given[name] = given[name][rows]
        return meta, given

    def tables_are_well(self, case):
        """What no choice of rows can help: SAN's MLP is away from the kink in every world, and alive in one."""
        alive = False
        for world in WORLDS:
            meta, given = self.given(case, world, [0])
            if not meta["model"]["compat"]["san_mlp"]:
                return True
            ref = Reference(meta, given)
            if ref.table_margin <= TABLE_KINK:
                return False
            alive = alive or (np.isfinite(ref.table_margin) and not ref.dead_table)
        return alive

    def choose_rows(self, case, world):
        """Those that stay away from ReLU's kink, thinned evenly: every scenario keeps some."""
        ref = Reference(*self.given(case, world))
        rows = np.flatnonzero((ref.margin > KINK) & (ref.scenario_of != EMPTY.get(world, -1)))
        assert len(rows) >= ROWS, (case, world, len(rows))
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).astype(int)]
        (self.folder / f"{case}.{world}.rows").write_bytes(rows.astype("<i4").tobytes())
        return rows


@pytest.fixture(scope="module", params=["release", "double"])
def export(request, tmp_path_factory):
    return Export(request.param, tmp_path_factory.mktemp(request.param))


def distance(found, expected):
    """max |a - b| in units of max |b|; 0 where both are all 0."""
    expected = np.asarray(expected, np.float64)
    assert found.size == expected.size
    far = np.abs(found.ravel().astype(np.float64) - expected.ravel()).max(initial=0)
    return far / np.abs(expected).max() if far else 0.0


class Comparison:
    def __init__(self, export, case, world):
        self.tolerance, self.title = TOLERANCE[export.build], f"{case}, world {world}"
        if export.build == "release":
            self.tolerance = MAGNIFIED.get(case, self.tolerance)
        self.worst = 0.0

    def __call__(self, what, found, expected):
        far = distance(found, expected)
        assert far <= self.tolerance, f"{self.title}: {what} differs by {far:.3g} of its largest"
        self.worst = max(self.worst, far)


def gradients(ref, root):
    for v in ref.values.values():
        v.grad = None
    backward(root)
    return {name: np.zeros(v.shape) if v.grad is None else v.grad for name, v in ref.values.items()}


def compare_sessions(compare, ref, out):
    """Logits, Σ w·BCE of each head, and the gradients of Σ scale · loss."""
    losses, _ = ref.head_losses()
    logits = np.concatenate([ref.logits[i].data for i in sorted(ref.logits)])
    compare("logits", out["logits"], logits)
    compare("losses", out["loss"], [loss.data for loss in losses])
    wanted = gradients(ref, scaled_sum(losses, out["scale"].ravel()))
    for name, gradient in wanted.items():
        if name.startswith("param/"):
            compare("the gradient of " + name, out["grad/" + name[len("param/"):]], gradient)
    compare("dx", out["dx"], np.concatenate([ref.x[i].grad for i in sorted(ref.x)]))
    return {name for name, gradient in wanted.items() if gradient.any()}


def compare_step(compare, ref, step):
    """The trainer's loss, and the gradient that its SGD step took: (before - after) / rate."""
    losses, weights = ref.head_losses()
    root = scaled_sum(losses, ref.reduction(weights))
    compare("the loss", step["loss"], root.data)
    for name, gradient in gradients(ref, root).items():
        before, after = ref.values[name].data, step[name].astype(np.float64)
        compare("the step of " + name, (before - after) / ref.meta["rate"], gradient)


def idle(ref, name):
    """Whether a tensor rightly has a gradient of 0: gates over one expert, or that are not used; the
    script's SAN has a layer of one ReLU, which may be dead from the start (at level 1 it is not)."""
    if ref.compat["san_mlp"] and name.startswith("param/san.2."):
        return True
    return "gate" in name and (ref.values[name].shape[-1] == 1 or (ref.compat["cgc_sum"] and "cgc" in name))


@pytest.mark.parametrize("case", CASES)
def test_logits_losses_and_gradients(export, case):
    """And that no tensor compares well only because its gradient is 0 in every world."""
    moved, everything, worst = set(), set(), 0.0
    for world in WORLDS:
        ref = Reference(*export.given(case, world, export.kept[case, world]))
        assert ref.margin.min() > KINK
        compare = Comparison(export, case, world)
        moved |= compare_sessions(compare, ref, export.read(case, world, "out"))
        compare_step(compare, ref, export.read(case, world, "step"))
        everything |= set(ref.values)
        worst = max(worst, compare.worst)
    never = {name for name in everything - moved if not idle(ref, name)}
    assert not never, never
    print(f"{export.build} {case}: {worst:.2g}")  # shown with -s


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("export", ["double"], indirect=True)  # one build's cases serve for both
def test_the_references_gradients_against_differences(export, case):
    """Along one random direction through all parameters; what is stopped stands still."""
    meta, given = export.given(case, 0, export.kept[case, 0])
    given = {name: n.astype(np.float64) if name.startswith(("param/", "table/")) else n for name, n in given.items()}

    def root(held=None):
        ref = Reference(meta, given, held)
        losses, weights = ref.head_losses()
        return ref, scaled_sum(losses, ref.reduction(weights))

    ref, loss = root()
    wanted = gradients(ref, loss)
    rng = np.random.default_rng(1)
    directions = {name: rng.normal(size=gradient.shape) for name, gradient in wanted.items()}
    kept, h, sides = {name: given[name].copy() for name in wanted}, 1e-7, []
    for sign in (1, -1):
        given.update({name: kept[name] + sign * h * directions[name] for name in wanted})
        sides.append(float(root(ref.stopped)[1].data))
    slope = sum(float((wanted[name] * directions[name]).sum()) for name in wanted)
    assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-7)


def replay_step(compare, weighting, export, case, world, step):
    """One step: the tasks' losses, what is minimised, its gradient, and the weights after it."""
    found = export.read(case, world, f"{weighting.kind}.{step}")
    meta, given = export.given(case, world, export.kept[case, world][found["rows"].ravel()])
    if found["absent"].item() >= 0:
        given["labels"] = given["labels"].copy()
        given["labels"][:, found["absent"].item()] = 255
    ref, scale = Reference(meta, given), found["scale"].item()
    losses = task_losses(ref)
    root = weighting.loss(losses)
    compare(f"step {step}, the tasks' losses", found["losses"], [loss.data for loss in losses])
    compare(f"step {step}, the loss", found["loss"], root.data)
    for name, gradient in gradients(ref, root).items():
        before, after = ref.values[name].data, found[name].astype(np.float64)
        compare(f"step {step} of {name}", (before - after) / (ref.meta["rate"] * scale), gradient)
    g = norms(ref, losses) if weighting.kind == "gradnorm" else None
    weighting.update(np.array([float(loss.data) for loss in losses]), g, scale)
    compare(f"the weights after step {step}", found["weights"], weighting.factors())


@pytest.mark.parametrize("case, kind, world", [
    (case, kind, world) for case, uncertainty, everywhere in WEIGHTED for world in WORLDS
    for kind in ("uncertainty", "gradnorm")
    if (kind == "gradnorm" or uncertainty == "true") and (world % 3 == 0 or everywhere == "true")])
def test_weights_of_tasks(export, case, kind, world):
    compare = Comparison(export, case, world)
    if export.build == "release":
        compare.tolerance = 1e-4  # batches of few rows, where more cancels
    tasks = json.loads(export.read(case, world, "in")["meta"])["tasks"]
    weighting = Weighting(kind, tasks)
    start, far = weighting.factors(), 0.0
    for step in STEPS:
        replay_step(compare, weighting, export, case, world, step)
        far = max(far, np.abs(weighting.factors() - start).max())
    assert (far > 0.01) == (kind == "uncertainty" or tasks > 1)


def test_the_pack_reader_refuses_damage(export):
    path = export.folder / "hinet.0.in.pack"
    whole = path.read_bytes()
    assert read_pack(path, b"TEST")
    with pytest.raises(DamagedPack):
        read_pack(path, b"BNDL")
    damaged = export.folder / "damaged.pack"
    for at in (0, 9, 20, 50, 70, len(whole) // 2, len(whole) - 3):
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        with pytest.raises(DamagedPack):
            read_pack(damaged, b"TEST")
    damaged.write_bytes(whole[:-1])
    with pytest.raises(DamagedPack):
        read_pack(damaged, b"TEST")

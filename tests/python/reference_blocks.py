"""The parts of which reference.py builds models, in float64 NumPy, from the papers' mathematics and
the tensors' descriptions (docs/tensors.md): inputs, layers, banks of experts, gates, customized gate
control, towers. Lists of groups in, lists of groups out; the rows of one scenario at a time."""

import numpy as np

from tape import Value, concat, mean, relu, rsqrt, sigmoid, softmax


def norm(x):
    """(x - mean) / √(variance + 1e-5) over the columns of each row."""
    centred = x - mean(x)
    return centred * rsqrt(mean(centred * centred) + 1e-5)


def silu(z):
    return z * sigmoid(z)


def gelu(z):
    """½ z (1 + tanh(√(2/π) (z + 0.044715 z³))); tanh(u) = 2σ(2u) - 1"""
    u = (z + z * z * z * 0.044715) * np.sqrt(2 / np.pi)
    return z * 0.5 * (sigmoid(u * 2.0) * 2.0)


class Blocks:
    """What a model is made of. `given` has meta, the encoded rows, and `param/…`, `table/…`.

    margin   [rows] the smallest |argument| of a ReLU or a maximum that the row has met
    table_margin  the same of ReLUs in what has no rows (SAN's MLP)
    dead_table    one of those layers gives only 0
    stopped  values without a gradient, in the order in which they were met; given as `held`,
             they stay as they are when parameters move (which differences need)
    """

    def __init__(self, meta, given, held=None):
        self.meta, self.given = meta, given
        self.config, self.compat = meta["model"], meta["model"]["compat"]
        self.scenarios, self.tasks = meta["scenarios"], meta["tasks"]
        self.hinet = self.config["name"].startswith("hinet")
        self.all_heads = self.hinet and self.compat["all_heads"]
        self.apart = self.config["name"] == "single"  # M models
        self.values = {name: Value(numbers) for name, numbers in given.items()
                       if name.startswith(("param/", "table/"))}
        self.scenario_of = given["scenario"].ravel()
        self.margin = np.full(len(self.scenario_of), np.inf)
        self.table_margin, self.dead_table = np.inf, False
        self.stopped, self.held = [], held
        self.rows, self.plain = None, None  # of the scenario at hand, and x before a model adds to it

    def param(self, name):
        return self.values["param/" + name]

    def has(self, name):
        return "param/" + name in self.values

    def stop(self, x):
        self.stopped.append(x.data if self.held is None else self.held[len(self.stopped)])
        return Value(self.stopped[-1])

    # ---- x --------------------------------------------------------------------------------------

    def input(self, i):
        """The concatenation of all embeddings and numbers of the rows of scenario i."""
        parts = []
        for feature in self.meta["inputs"]:
            slot = feature["slot"]
            if feature["kind"] == "value":
                parts.append(Value(self.given["values"][self.rows, slot:slot + 1]))
                continue
            table = self.values["table/" + feature["table"]]
            if self.apart:  # tables of its own for each scenario
                size = table.shape[0] // self.scenarios
                table = table[i * size:(i + 1) * size]
            if feature["kind"] == "id":
                parts.append(table[self.given["ids"][self.rows, slot]])
            else:
                parts.append(Value(self.pooling(slot, feature["pooling"], table.shape[0])) @ table)
        return concat(parts)

    def pooling(self, slot, pooling, size):
        """[rows, size]: what of each embedding is in a row's sum or mean; nothing for an empty list."""
        begin, ids = self.given["list_begin"].ravel(), self.given["list_ids"].ravel()
        lists = (len(begin) - 1) // len(self.scenario_of)
        counts = np.zeros((len(self.rows), size))
        for count, row in zip(counts, self.rows):
            at = row * lists + slot
            np.add.at(count, ids[begin[at]:begin[at + 1]], 1)
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if pooling == "mean" else counts

    def columns(self, wanted):
        """[(first, width, input)] of the inputs of x that are `wanted`."""
        found, at = [], 0
        for feature in self.meta["inputs"]:
            if wanted(feature):
                found.append((at, feature["width"], feature))
            at += feature["width"]
        return found

    def side(self, x, side):
        """The columns of x of all inputs of a side; None if it has none."""
        parts = [x[:, at:at + width] for at, width, _ in self.columns(lambda f: f["side"] == side)]
        return concat(parts) if parts else None

    def identity(self, x, side):
        """The columns of a side's id whose table has the most rows, the first of equals; None without ids."""
        ids = self.columns(lambda f: f["side"] == side and f["kind"] == "id")
        if not ids:
            return None
        at, width, _ = max(ids, key=lambda c: self.values["table/" + c[2]["table"]].shape[0])
        return x[:, at:at + width]

    def scenario_row(self, name, i):
        """e_i, the same for all rows."""
        e = self.param(name)
        assert e.shape == (1, self.scenarios, 1, self.config["scenario_width"])
        return e[0, np.full(len(self.rows), i), 0]

    # ---- Layers and banks --------------------------------------------------------------------------

    def relu(self, x, of_rows=True):
        distance = np.abs(x.data)
        if of_rows:
            self.margin[self.rows] = np.minimum(self.margin[self.rows], distance.min(axis=1))
        else:
            self.table_margin = min(self.table_margin, distance.min())
            self.dead_table = self.dead_table or not (x.data > 0).any()
        return relu(x)

    def layer(self, name, suffix, groups, n, scenario=None):
        """y[γ·n + o] = x[γ]·W[i·g + γ][:, o] + b[0][i, γ·n + o]; i = 0 without a scenario."""
        w, b = self.param(f"{name}.w{suffix}"), self.param(f"{name}.b{suffix}")
        g, i, s = len(groups), scenario or 0, 1 if scenario is None else self.scenarios
        assert w.shape[:3] == (s * g, groups[0].shape[1], n), (name, suffix, w.shape)
        assert b.shape == (1, s, g * n, w.shape[3]), (name, suffix, b.shape)
        return [groups[k] @ w[i * g + k, :, o] + b[0, i, k * n + o] for k in range(g) for o in range(n)]

    def activate(self, name, suffix, groups, scenario=None):
        """act(LN(z) ⊙ γ + β), of a layer of experts; without `expert_norm` act(z)."""
        if self.config["expert_norm"]:
            gamma, beta = self.param(f"{name}.gamma{suffix}"), self.param(f"{name}.beta{suffix}")
            s = 1 if scenario is None else self.scenarios
            assert gamma.shape == beta.shape == (1, s, len(groups), groups[0].shape[1]), (name, gamma.shape)
            i = scenario or 0
            groups = [norm(z) * gamma[0, i, k] + beta[0, i, k] for k, z in enumerate(groups)]
        act = {"relu": self.relu, "silu": silu, "gelu": gelu}[self.config["activation"]]
        return [act(z) for z in groups]

    def bank(self, name, groups, n, units, scenario=None):
        """n MLPs of experts on each group."""
        for l, width in enumerate(units, 1):
            groups = self.activate(name, l, self.layer(name, l, groups, n if l == 1 else 1, scenario), scenario)
            assert groups[0].shape[1] == width
        return groups

    def mlps(self, name, groups, n, units, scenario=None):
        """n MLPs on each group that are no experts: ReLU after each layer, whatever the options."""
        for l, width in enumerate(units, 1):
            groups = [self.relu(y) for y in self.layer(name, l, groups, n if l == 1 else 1, scenario)]
            assert groups[0].shape[1] == width
        return groups

    def gate(self, name, groups, n, scenario=None):
        """softmax(x·W + b), n for each group."""
        logits = self.layer(name, "", groups, n, scenario)
        if self.hinet and self.compat["gate_relu"]:
            logits = [self.relu(z) for z in logits]
        return [softmax(z) for z in logits]

    def cgc_gate(self, name, groups, n, scenario=None):
        if self.hinet and self.compat["cgc_sum"]:  # a softmax over an axis of size 1
            e = self.param(name + ".w").shape[3]
            return [Value(np.ones((len(self.rows), e)))] * (len(groups) * n)
        return self.gate(name, groups, n, scenario)

    def mix(self, gate, experts):
        """Σ_k gate_k · expert_k"""
        assert gate.shape[-1] == len(experts)
        mixed = gate[:, 0:1] * experts[0]
        for k in range(1, len(experts)):
            mixed = mixed + gate[:, k:k + 1] * experts[k]
        return mixed

    # ---- Customized gate control -----------------------------------------------------------------------

    def cgc(self, x, i, across):
        """h_t = Σ_k g_tk · (own experts of t, then those shared with t); [heads] groups.

        By scenario there are the T heads of scenario i; else all M·T, as where a level feeds
        another one across scenarios, or where all heads are wanted."""
        levels, units = self.config["task_levels"], self.config["task_units"]
        o, s, m, t = self.config["task_own"], self.config["task_shared"], self.scenarios, self.tasks
        h, mixture = [x], [x]
        for level in range(1, levels + 1):
            first, last = level == 1, level == levels
            name = "cgc" if first else f"cgc.{level}"
            every = self.all_heads or (across and not last)
            scenario = None if every else i
            if not first and len(h) == m * t and not every:
                h = h[i * t:(i + 1) * t]
            heads = m * t if every else t
            sharers = 1 if across or not every else m  # sets of shared experts that are computed
            own, common = [], []
            if o:
                own = self.bank(name + ".own", h, heads * o if first else o, units, scenario)
            if s:
                common = self.bank(name + ".shared", mixture, sharers * s if first else s, units,
                                   None if across else scenario)
            gates = self.cgc_gate(name + ".gate", h, heads if first else 1, scenario)
            assert len(own) == heads * o and len(common) == sharers * s and len(gates) == heads

            def common_of(set_):
                return common[set_ * s:(set_ + 1) * s]

            into = [self.mix(gates[k], own[k * o:(k + 1) * o] + common_of(k // t if sharers > 1 else 0))
                    for k in range(heads)]
            if s and not last:
                gates = self.cgc_gate(name + ".gate.shared", mixture, sharers if first else 1,
                                      None if across else scenario)
                size = len(own) // sharers
                mixture = [self.mix(gates[k], own[k * size:(k + 1) * size] + common_of(k)) for k in range(sharers)]
            h = into
        return h

    # ---- Towers ------------------------------------------------------------------------------------------

    def tower_gates(self, i):
        """δ_l(h, k): what the output of tower layer l of head k is multiplied by (PPNet)."""
        if not self.config["tower_gate"] or not self.config["tower_units"]:
            return lambda l, k: 1.0
        x = self.plain
        ids = [part for part in (self.identity(x, "user"), self.identity(x, "item")) if part is not None]
        z = concat([self.stop(x), *ids, self.scenario_row("tower.gate.e", i)])
        delta, of = {}, i if self.apart else None
        for l in range(1, len(self.config["tower_units"]) + 1):
            hidden = self.relu(self.layer(f"tower.gate.{l}", 1, [z], 1, of)[0])
            assert hidden.shape[1] == self.config["tower_gate"]
            delta[l] = [sigmoid(y) * 2.0 for y in self.layer(f"tower.gate.{l}", 2, [hidden], self.tasks, of)]
        return lambda l, k: delta[l][k % self.tasks]

    def towers(self, groups, heads, scenario, i):
        """A logit for each head; groups: one for each head, or one that all read. i is the rows'
        scenario, `scenario` that of the weights; None where there is one set of them."""
        gates = self.tower_gates(i)
        for l, width in enumerate(self.config["tower_units"], 1):
            groups = [self.relu(y) for y in self.layer("tower", l, groups, heads // len(groups), scenario)]
            assert groups[0].shape[1] == width
            groups = [y * gates(l, k) for k, y in enumerate(groups)]
        return self.layer("tower.out", "", groups, heads // len(groups), scenario)

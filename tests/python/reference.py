"""HiNet and its rivals in float64 NumPy, equation by equation from the papers' mathematics and
the tensors' descriptions (docs/tensors.md); nothing was taken from the C code that it checks.
The rows of each scenario are computed apart, expert by expert and head by head."""

import numpy as np

from tape import Value, bce, concat, relu, softmax, total


class Reference:
    """A model on a batch. `given` has meta, the encoded rows, and `param/…`, `table/…`.

    logits   for each scenario that has rows: (row numbers, Value [rows, heads])
    x        for each of those scenarios the input, Value [rows, width]
    margin   [rows] the smallest |pre-activation| of a ReLU that the row has met
    table_margin  the same of ReLUs in what has no rows (SAN's MLP)
    """

    def __init__(self, meta, given):
        self.meta, self.given = meta, given
        self.config, self.compat = meta["model"], meta["model"]["compat"]
        self.scenarios, self.tasks = meta["scenarios"], meta["tasks"]
        self.hinet = self.config["name"] == "hinet"
        self.all_heads = self.hinet and self.compat["all_heads"]
        self.values = {name: Value(numbers) for name, numbers in given.items()
                       if name.startswith(("param/", "table/"))}
        self.scenario_of = given["scenario"].ravel()
        self.margin = np.full(len(self.scenario_of), np.inf)
        self.table_margin = np.inf
        self.logits, self.x = {}, {}
        for i in range(self.scenarios):
            rows = np.flatnonzero(self.scenario_of == i)
            if rows.size:
                self.rows = rows
                self.x[i] = self.input(i)
                self.logits[i] = concat(self.model(self.x[i], i))

    def param(self, name):
        return self.values["param/" + name]

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
            if self.config["name"] == "single":  # tables of its own for each scenario
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

    # ---- Blocks: lists of groups in, lists of groups out --------------------------------------------

    def relu(self, x, of_rows=True):
        distance = np.abs(x.data)
        if of_rows:
            self.margin[self.rows] = np.minimum(self.margin[self.rows], distance.min(axis=1))
        else:
            self.table_margin = min(self.table_margin, distance.min())
        return relu(x)

    def layer(self, name, suffix, groups, n, scenario=None):
        """y[γ·n + o] = x[γ]·W[i·g + γ][:, o] + b[0][i, γ·n + o]; i = 0 without a scenario."""
        w, b = self.param(f"{name}.w{suffix}"), self.param(f"{name}.b{suffix}")
        g, i, s = len(groups), scenario or 0, 1 if scenario is None else self.scenarios
        assert w.shape[:3] == (s * g, groups[0].shape[1], n), (name, suffix, w.shape)
        assert b.shape == (1, s, g * n, w.shape[3]), (name, suffix, b.shape)
        return [groups[k] @ w[i * g + k, :, o] + b[0, i, k * n + o] for k in range(g) for o in range(n)]

    def bank(self, name, groups, n, units, scenario=None):
        """n MLPs on each group, ReLU after each layer."""
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

    # ---- HiNet ---------------------------------------------------------------------------------------

    def sei(self, name, groups, n):
        """SEI(x) = Σ_k softmax(W x + b)_k · Q_k(x); n of them on each group."""
        units, k = self.config["expert_units"], self.config["experts"]
        if not self.config["sei"]:
            return self.bank(name, groups, n, units)
        q = self.bank(name, groups, n * k, units)
        gates = self.gate(name + ".gate", groups, n)
        return [self.mix(gate, q[e * k:(e + 1) * k]) for e, gate in enumerate(gates)]

    def san(self, name):
        """l_i for all i, [M, M]: a linear map (or the script's MLP) of e_i."""
        e = self.param(name + ".e")
        assert e.shape == (1, self.scenarios, 1, self.config["scenario_width"])
        x = [e[0, :, 0]]
        if not self.compat["san_mlp"]:
            return self.layer(name, "", x, 1)[0]
        for l, width in enumerate([128, 64, 1, self.scenarios], 1):
            x = [self.relu(y, of_rows=False) for y in self.layer(name, l, x, 1)]
            assert x[0].shape[1] == width
        return x[0]

    def attend(self, table, specific, i):
        """A_i = Σ_{j≠i} a_ij · S_j, a_i = softmax over the others (the script: over all)."""
        others = [j for j in range(self.scenarios) if j != i]
        logits = table[i:i + 1]
        if self.compat["san_softmax_all"]:
            return self.mix(softmax(logits)[:, others], [specific[j] for j in others])
        return self.mix(softmax(logits[:, others]), [specific[j] for j in others])

    def scenario_layers(self, x, i):
        """C_i of the last level."""
        shared, levels = self.config["shared_expert"], self.config["scenario_levels"]
        with_san = self.config["san"] and self.scenarios > 1

        def c(j, level):
            parts = ([g] if shared else []) + [specific[j]]
            if with_san:
                parts.append(self.attend(table, specific, j))
            return concat(parts)

        experts = self.sei("sei", [x], self.scenarios + shared)
        specific, g = experts[:self.scenarios], experts[-1]
        table = self.san("san") if with_san else None
        for level in range(2, levels + 1):
            every = [c(j, level) for j in range(self.scenarios)]
            specific = self.sei(f"sei.{level}", every, 1)
            if shared:
                g = self.sei(f"sei.{level}.shared", [g], 1)[0]
            if with_san:
                table = self.san(f"san.{level}")
        return c(i, levels)

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

    def towers(self, groups, heads, scenario):
        """A logit for each head; groups: one for each head, or one that all read."""
        n = heads // len(groups)
        groups = self.bank("tower", groups, n, self.config["tower_units"], scenario)
        return self.layer("tower.out", "", groups, heads // len(groups), scenario)

    # ---- Models: the logits of the rows of scenario i -----------------------------------------------------

    def model(self, x, i):
        return getattr(self, "model_" + self.config["name"].replace("-", "_"))(x, i)

    def model_hinet(self, x, i):
        if self.compat["input_affine"]:
            x = x * (1 / np.sqrt(1.001)) * self.param("input.gamma")[0, 0] + self.param("input.beta")[0, 0]
        c = self.scenario_layers(x, i) if self.config["scenario_layer"] else x
        across = self.config["task_shared_across"] or self.compat["cgc_global"]
        h = self.cgc(c, i, across)
        return self.towers(h, len(h), None if self.all_heads else i)

    def model_ple(self, x, i):
        return self.towers(self.cgc(x, i, across=True), self.tasks, i)

    def model_mmoe(self, x, i):
        q = self.bank("experts", [x], self.config["experts"], self.config["expert_units"])
        gates = self.gate("experts.gate", [x], self.tasks, i)
        return self.towers([self.mix(g, q) for g in gates], self.tasks, i)

    def model_shared_bottom(self, x, i):
        return self.towers(self.bank("bottom", [x], 1, self.config["bottom_units"]), self.tasks, i)

    def model_single(self, x, i):
        return self.towers(self.bank("bottom", [x], 1, self.config["bottom_units"], i), self.tasks, i)

    def model_mixed(self, x, i):
        e = self.param("scenario.e")[0, np.full(len(self.rows), i), 0]
        return self.towers(self.bank("bottom", [concat([x, e])], 1, self.config["bottom_units"]), self.tasks, None)

    # ---- Loss ------------------------------------------------------------------------------------------------

    def head_losses(self):
        """[M·T] of (Σ w·BCE as a Value, Σ w), over the present labels of a cell. All heads: of
        each head over every row, where absent labels and other scenarios' are 0."""
        m, t = self.scenarios, self.tasks
        losses, weights = [Value(0.0)] * (m * t), np.zeros(m * t)
        for i, logits in self.logits.items():
            rows = np.flatnonzero(self.scenario_of == i)
            w, labels = self.given["weights"].ravel()[rows].astype(float), self.given["labels"][rows]
            for k in range(logits.shape[1]):
                cell = k if self.all_heads else i * t + k
                y = labels[:, cell % t]
                present = y != 255
                if self.all_heads:
                    y = np.where(present & (cell // t == i), y, 0)
                    present[:] = True
                losses[cell] = losses[cell] + total(bce(logits[present, k], y[present].astype(float)) * w[present])
                weights[cell] += w[present].sum()
        return losses, weights

    def reduction(self, weights):
        """[M·T] what each cell's Σ w·BCE is multiplied by."""
        over = weights if self.meta["reduce"] == "cells" else np.full_like(weights, weights.sum())
        lambdas = np.tile(self.meta["lambda"], self.scenarios)
        return np.divide(lambdas, over, out=np.zeros_like(over), where=over > 0)


def scaled_sum(losses, scale):
    """Σ scale_c · loss_c"""
    whole = Value(0.0)
    for loss, factor in zip(losses, scale):
        whole = whole + loss * factor
    return whole

"""HiNet and its rivals in float64 NumPy, equation by equation from the papers' mathematics and
the tensors' descriptions (docs/tensors.md); nothing was taken from the C code that it checks.
The rows of each scenario are computed apart, expert by expert and head by head. The parts are in
reference_blocks.py, the rivals in reference_rivals.py."""

import numpy as np

from reference_rivals import Rivals
from tape import Value, bce, concat, log_sum_exp, sigmoid, softmax, total


class Reference(Rivals):
    """A model on a batch (Blocks has what is given).

    logits   for each scenario that has rows: (row numbers, Value [rows, heads])
    x        for each of those scenarios the input, Value [rows, width]
    """

    def __init__(self, meta, given, held=None):
        super().__init__(meta, given, held)
        self.logits, self.x, self.penalties = {}, {}, {}
        for i in range(self.scenarios):
            rows = np.flatnonzero(self.scenario_of == i)
            if rows.size:
                self.rows = rows
                self.x[i] = self.input(i)
                heads = self.model(self.x[i], i)
                self.logits[i], self.penalties[i] = concat(heads), self.penalty(heads)

    def model(self, x, i):
        """The logits of the rows of scenario i, one Value [rows, 1] for each head."""
        if self.hinet and self.compat["input_affine"]:
            x = x * (1 / np.sqrt(1.001)) * self.param("input.gamma")[0, 0] + self.param("input.beta")[0, 0]
        name = self.config["name"].replace("-", "_").replace("+", "_plus")
        self.plain = x
        pairs = None if self.config["pairs"] == "none" else self.pairs(x)
        heads = getattr(self, "model_" + name)(concat([x, pairs]) if self.config["pairs"] == "input" else x, i)
        heads = [z + y for z, y in zip(heads, self.wide(x, i, len(heads)), strict=True)]
        if self.config["pairs"] == "wide":
            v = self.param("pairs.w")
            assert v.shape == (self.scenarios if self.apart else 1, pairs.shape[1], self.tasks, 1)
            heads = [z + pairs @ v[i if self.apart else 0, :, k % self.tasks] for k, z in enumerate(heads)]
        if self.config.get("side_units"):
            side = self.side_network(x, i)
            heads = [z + side[k % self.tasks] for k, z in enumerate(heads)]
        return self.after(heads)

    def wide(self, x, i, heads):
        """x·V for each head."""
        if self.config["wide"] == "none":
            return [0.0] * heads
        v, t = self.param("wide.w"), self.tasks
        if self.config["wide"] == "task" and not self.apart:
            assert v.shape == (1, x.shape[1], t, 1)
            return [x @ v[0, :, k % t] for k in range(heads)]
        if self.all_heads:
            assert v.shape == (1, x.shape[1], heads, 1)
            return [x @ v[0, :, k] for k in range(heads)]
        assert v.shape == (self.scenarios, x.shape[1], t, 1)
        return [x @ v[i, :, k] for k in range(heads)]

    def pairs(self, x):
        """Σ_{f<g} e_f ⊙ e_g of the embeddings of the width that most have, of several the first."""
        embeddings = self.columns(lambda f: f["kind"] != "value")
        widths = [width for _, width, _ in embeddings]
        common = max(widths, key=widths.count)
        e = [x[:, at:at + width] for at, width, _ in embeddings if width == common]
        products = Value(np.zeros((len(self.rows), common)))
        for g in range(len(e)):
            for f in range(g):
                products = products + e[f] * e[g]
        return products

    def side_network(self, x, i):
        """A logit of each task from one network for all scenarios, which is told the scenario."""
        h = self.bank("side", [concat([x, self.scenario_row("side.e", i)])], 1, self.config["side_units"])
        return self.layer("side.out", "", h, self.tasks)

    def after(self, heads):
        """ESMM: of a later task the logit of the product, -log(e^-a + e^-b + e^-(a+b))."""
        before, done = self.meta.get("after", [-1] * self.tasks), {}

        def output(k):
            if k not in done:
                earlier = before[k % self.tasks]
                done[k] = heads[k]
                if earlier >= 0:
                    a, b = output(k - k % self.tasks + earlier) * -1.0, heads[k] * -1.0
                    done[k] = log_sum_exp(concat([a, b, a + b])) * -1.0
            return done[k]

        return [output(k) for k in range(len(heads))]

    def penalty(self, heads):
        """For each head what a row's loss has beside its BCE; AITM: ω · max(p(later) - p(earlier), 0)."""
        omega = self.config["order_penalty"] if self.config["name"] == "aitm" else 0
        if not omega:
            return [None] * len(heads)
        return [None] + [self.relu(sigmoid(later) - sigmoid(earlier)) * omega
                         for earlier, later in zip(heads, heads[1:])]

    # ---- HiNet ----------------------------------------------------------------------------------------

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

    def attend(self, table, of_row, specific, i):
        """A_i = Σ_{j≠i} a_ij · S_j, a_i = softmax over the others (the script: over all)."""
        others = [j for j in range(self.scenarios) if j != i]
        logits = table[i:i + 1] + of_row
        if self.compat["san_softmax_all"]:
            return self.mix(softmax(logits)[:, others], [specific[j] for j in others])
        return self.mix(softmax(logits[:, others]), [specific[j] for j in others])

    def san_of_row(self, name):
        """v·U, [rows, M]: what the row adds to the logits of all scenarios."""
        if self.config["san_input"] == "scenario":
            return 0.0
        v = self.plain if self.config["san_input"] == "row" else self.side(self.plain, "user")
        u = self.param(name + ".x.w")
        assert u.shape == (1, v.shape[1], 1, self.scenarios), (name, u.shape)
        return v @ u[0, :, 0]

    def scenario_layers(self, x, i):
        """C_i of the last level."""
        shared, levels = self.config["shared_expert"], self.config["scenario_levels"]
        with_san = self.config["san"] and self.scenarios > 1

        def c(j, level):
            parts = ([g] if shared else []) + [specific[j]]
            if with_san:
                parts.append(self.attend(table, of_row, specific, j))
            return concat(parts)

        experts = self.sei("sei", [x], self.scenarios + shared)
        specific, g = experts[:self.scenarios], experts[-1]
        table, of_row = (self.san("san"), self.san_of_row("san")) if with_san else (None, None)
        for level in range(2, levels + 1):
            every = [c(j, level) for j in range(self.scenarios)]
            specific = self.sei(f"sei.{level}", every, 1)
            if shared:
                g = self.sei(f"sei.{level}.shared", [g], 1)[0]
            if with_san:
                table, of_row = self.san(f"san.{level}"), self.san_of_row(f"san.{level}")
        return c(i, levels)

    def model_hinet(self, x, i):
        c = self.scenario_layers(x, i) if self.config["scenario_layer"] else x
        across = self.config["task_shared_across"] or self.compat["cgc_global"]
        h = self.cgc(c, i, across)
        return self.towers(h, len(h), None if self.all_heads else i, i)

    model_hinet_plus = model_hinet  # the same graph with other defaults

    # ---- Loss ------------------------------------------------------------------------------------------------

    def head_losses(self):
        """[M·T] of (Σ w·(BCE + penalty) as a Value, Σ w), over the present labels of a cell. All heads: of
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
                of_row = bce(logits[present, k], y[present].astype(float))
                if self.penalties[i][k] is not None:
                    of_row = of_row + self.penalties[i][k][present, 0]
                losses[cell] = losses[cell] + total(of_row * w[present])
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

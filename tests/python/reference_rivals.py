"""HiNet's rivals, each as its paper's equations with the names of docs/tensors.md: the logits of the
rows of scenario i, one Value [rows, 1] for each task."""

import numpy as np

from reference_blocks import Blocks, norm
from tape import Value, concat, mean, sigmoid, softmax


class Rivals(Blocks):
    # ---- Bottoms and experts -----------------------------------------------------------------------

    def model_ple(self, x, i):
        return self.towers(self.cgc(x, i, across=True), self.tasks, i, i)

    def model_mmoe(self, x, i):
        q = self.bank("experts", [x], self.config["experts"], self.config["expert_units"])
        gates = self.gate("experts.gate", [x], self.tasks, i)
        return self.towers([self.mix(g, q) for g in gates], self.tasks, i, i)

    def bottom(self, x, scenario=None):
        return self.bank("bottom", [x], 1, self.config["bottom_units"], scenario)

    def model_shared_bottom(self, x, i):
        return self.towers(self.bottom(x), self.tasks, i, i)

    def model_single(self, x, i):
        return self.towers(self.bottom(x, i), self.tasks, i, i)

    def model_mixed(self, x, i):
        return self.towers(self.bottom(concat([x, self.scenario_row("scenario.e", i)])), self.tasks, None, i)

    # ---- HMoE ------------------------------------------------------------------------------------------

    def model_hmoe(self, x, i):
        """Heads of all scenarios, weighed in label space; those of others learn nothing from it."""
        m, t = self.scenarios, self.tasks
        q = self.bank("experts", [x], self.config["experts"], self.config["expert_units"])
        h = [self.mix(g, q) for g in self.gate("experts.gate", [x], m * t)]
        heads = self.towers(h, m * t, None, i)
        weights = self.gate("scenario.gate", [x], t, i)

        def head(j, task):
            return heads[j * t + task] if j == i else self.stop(heads[j * t + task])

        return [self.mix(weights[task], [head(j, task) for j in range(m)]) for task in range(t)]

    # ---- Cross-stitch ----------------------------------------------------------------------------------

    def model_cross_stitch(self, x, i):
        t, groups = self.tasks, [x]
        for l in range(1, len(self.config["bottom_units"]) + 1):
            a = self.activate("bottom", l, self.layer("bottom", l, groups, t if l == 1 else 1))
            groups = a if t == 1 else self.stitch(self.param(f"stitch.{l}"), a)
        return self.towers(groups, t, i, i)

    def stitch(self, alpha, a):
        """h_t = Σ_s α_ts a_s"""
        t = len(a)
        assert alpha.shape == (1, 1, t, t)
        mixed = []
        for k in range(t):
            mixed.append(a[0] * alpha[0, 0, k, 0])
            for s in range(1, t):
                mixed[k] = mixed[k] + a[s] * alpha[0, 0, k, s]
        return mixed

    # ---- STAR ------------------------------------------------------------------------------------------

    def star(self, shared, own, suffix, groups, n, i):
        """x·(W_i ⊙ W) + (b_i + b)"""
        w, b = self.param(f"{shared}.w{suffix}"), self.param(f"{shared}.b{suffix}")
        wi, bi = self.param(f"{own}.w{suffix}"), self.param(f"{own}.b{suffix}")
        g = len(groups)
        assert w.shape[:3] == (g, groups[0].shape[1], n) and wi.shape == (self.scenarios * g, *w.shape[1:])
        assert b.shape == (1, 1, g * n, w.shape[3]) and bi.shape == (1, self.scenarios, g * n, w.shape[3])
        return [groups[k] @ (w[k, :, o] * wi[i * g + k, :, o]) + (b[0, 0, k * n + o] + bi[0, i, k * n + o])
                for k in range(g) for o in range(n)]

    def model_star(self, x, i):
        gain = self.param("norm.gain")[0, 0, 0] * self.param("norm.scenario.gain")[0, i, 0]
        shift = self.param("norm.bias")[0, 0, 0] + self.param("norm.scenario.bias")[0, i, 0]
        groups = [norm(x) * gain + shift]
        for l in range(1, len(self.config["bottom_units"]) + 1):
            groups = self.activate("bottom", l, self.star("bottom", "bottom.scenario", l, groups, 1, i))
        for l in range(1, len(self.config["tower_units"]) + 1):
            groups = [self.relu(y) for y in
                      self.star("tower", "tower.scenario", l, groups, self.tasks // len(groups), i)]
        logits = self.star("tower.out", "tower.out.scenario", "", groups, self.tasks // len(groups), i)
        z = [concat([x, self.scenario_row("scenario.e", i)])]
        z = self.mlps("auxiliary", z, 1, self.config["auxiliary_units"])
        return [a + b for a, b in zip(logits, self.layer("auxiliary.out", "", z, self.tasks), strict=True)]

    # ---- PEPNet ----------------------------------------------------------------------------------------

    def model_pepnet(self, x, i):
        units, t = self.config["tower_units"], self.tasks
        e = self.scenario_row("scenario.e", i)
        z = concat([self.stop(x), e])
        (hidden,) = self.mlps("epnet", [z], 1, [self.config["gate_width"]])
        x1 = sigmoid(self.layer("epnet", 2, [hidden], 1)[0]) * 2.0 * x
        h = self.bottom(x1) * t

        sides = [part for part in (self.side(x, "user"), self.side(x, "item")) if part is not None]
        z = concat([self.stop(x1), *sides, e])
        hidden = self.mlps("ppnet", [z], len(units) + 1, [self.config["gate_width"]])
        for l in range(1, len(units) + 2):
            gates = [sigmoid(y) * 2.0 for y in self.layer(f"ppnet.{l}", 2, [hidden[l - 1]], t)]
            h = [gate * y for gate, y in zip(gates, h, strict=True)]
            if l <= len(units):
                h = [self.relu(y) for y in self.layer("tower", l, h, 1, i)]
        return self.layer("tower.out", "", h, 1, i)

    # ---- AITM ------------------------------------------------------------------------------------------

    def model_aitm(self, x, i):
        q = self.bank("bottom", [x], self.tasks, self.config["bottom_units"])
        z = q[:1]
        for t in range(2, self.tasks + 1):
            message = self.relu(self.layer(f"transfer.{t}.message", "", z[-1:], 1)[0])
            z.append(self.transfer(f"transfer.{t}", message, q[t - 1]))
        return self.towers(z, self.tasks, i, i)

    def transfer(self, name, message, own):
        """Attention over the message and what the task knows itself."""
        scores, values = [], []
        for u in (message, own):
            value, key, query = self.layer(name, "", [u], 3)
            width = value.shape[1]
            scores.append(mean(key * query) * (width / np.sqrt(width)))
            values.append(value)
        return self.mix(softmax(concat(scores)), values)

    # ---- M3oE ------------------------------------------------------------------------------------------

    def model_m3oe(self, x, i):
        k, m, t = self.config["experts"], self.scenarios, self.tasks
        e = self.bank("experts", [x], k + m + t, self.config["expert_units"])
        gates = self.gate("experts.gate", [x], t, i)
        h = [self.mix(gates[task], e[:k])
             + self.own_and_others("scenario.own", e[k:k + m], i, (0, i, task))
             + self.own_and_others("task.own", e[k + m:], task, (0, i, task)) for task in range(t)]
        return self.towers(h, t, i, i)

    def own_and_others(self, name, experts, own, cell):
        """a · own + (1 - a) · the mean of the others, a = σ(a scalar of the cell)"""
        if len(experts) == 1:
            return experts[0]
        assert self.param(name).shape == (1, self.scenarios, self.tasks, 1)
        a, others = sigmoid(self.param(name)[cell]), Value(0.0)
        for k, expert in enumerate(experts):
            if k != own:
                others = others + expert
        return experts[own] * a + others * ((a * -1.0 + 1.0) * (1 / (len(experts) - 1)))

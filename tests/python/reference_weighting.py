"""The weights of the tasks' losses: uncertainty and GradNorm, as docs/tensors.md and hinet.md's last
line define them, replayed step by step beside reference.py."""

import numpy as np

from reference import scaled_sum
from tape import Value, backward


def task_losses(ref):
    """[T] of L_t as Values: the part of the loss that is task t's."""
    losses, weights = ref.head_losses()
    scale = ref.reduction(weights)
    return [scaled_sum(losses[t::ref.tasks], scale[t::ref.tasks]) for t in range(ref.tasks)]


def shared_layer(ref):
    """(name, the part of it) of the weights that GradNorm looks at."""
    config, name = ref.config, ref.config["name"]

    def last(bank, units, experts=None):
        """The last layer of a bank; of its outputs the first (or, below 0, the last) `experts`."""
        n = len(config[units])
        part = slice(None)
        if experts is not None:
            some = slice(experts, None) if experts < 0 else slice(experts)
            part = (slice(None), slice(None), some) if n == 1 else some
        return f"param/{bank}.w{n}", part

    if name == "m3oe":
        return last("experts", "expert_units", config["experts"])
    if name in ("mmoe", "hmoe"):
        return last("experts", "expert_units")
    if name == "ple" or (ref.hinet and not config["scenario_layer"]):
        level = config["task_levels"]
        return last("cgc.shared" if level == 1 else f"cgc.{level}.shared", "task_units")
    if not ref.hinet:
        return last("bottom", "bottom_units")
    level = config["scenario_levels"]
    if not config["shared_expert"]:
        return last("sei" if level == 1 else f"sei.{level}", "expert_units")
    if level > 1:
        return last(f"sei.{level}.shared", "expert_units")
    return last("sei", "expert_units", -(config["experts"] if config["sei"] else 1))


def norms(ref, losses):
    """g_t = ‖∂L_t / ∂W‖"""
    name, part = shared_layer(ref)
    found = []
    for loss in losses:
        for v in ref.values.values():
            v.grad = None
        backward(loss)
        grad = ref.values[name].grad
        found.append(0.0 if grad is None else float(np.sqrt((grad[part] ** 2).sum())))
    return np.array(found)


class Weighting:
    """The numbers that are trained beside the network; moved by Adam."""

    def __init__(self, kind, tasks, rate=0.125, alpha=1.5, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.kind, self.tasks, self.rate, self.alpha = kind, tasks, rate, alpha
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.z = np.zeros(tasks) if kind == "uncertainty" else np.ones(tasks)
        self.m, self.v, self.first = np.zeros(tasks), np.zeros(tasks), np.zeros(tasks)
        self.step = 0

    def factors(self):
        return np.exp(-self.z) if self.kind == "uncertainty" else self.z.copy()

    def loss(self, losses):
        """The loss that is minimised, a Value; tasks without labels have none."""
        whole = scaled_sum(losses, self.factors())
        if self.kind == "uncertainty":
            whole = whole + Value(sum(s / 2 for s, loss in zip(self.z, losses) if loss.data > 0))
        return whole

    def update(self, losses, g, scale):
        self.step += 1
        at = np.flatnonzero(losses > 0)  # P
        if self.kind == "uncertainty":
            self.adam(at, 0.5 - np.exp(-self.z[at]) * losses[at], scale)
            return
        self.first[at] = np.where(self.first[at] == 0, losses[at], self.first[at])
        if len(at) < 2:
            return
        weighted = self.z[at] * g[at]
        pace = losses[at] / self.first[at]
        wanted = weighted.mean() * (pace / pace.mean()) ** self.alpha
        self.adam(at, np.sign(weighted - wanted) * g[at], scale)
        self.z[at] = np.maximum(self.z[at], 0.001)
        self.z *= self.tasks / self.z.sum()

    def adam(self, at, gradient, scale):
        self.m[at] = self.beta1 * self.m[at] + (1 - self.beta1) * gradient
        self.v[at] = self.beta2 * self.v[at] + (1 - self.beta2) * gradient ** 2
        m, v = self.m[at] / (1 - self.beta1 ** self.step), self.v[at] / (1 - self.beta2 ** self.step)
        self.z[at] -= scale * self.rate * m / (np.sqrt(v) + self.epsilon)

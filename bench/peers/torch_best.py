"""HiNet in PyTorch as fast as we could write it: what shares an input is one product, the
rows come sorted by scenario, a row's own heads are all that is computed, and Adam is fused."""
import math

import torch
from torch import nn
from torch.nn import functional as F

import torch_common as common
from torch_common import EXPERT, OWN, SCENARIO_WIDTH, SCENARIOS, SEI, SHARED, SUB_EXPERTS, TASKS, TOWER, WIDTH

BANKS = SCENARIOS + 1  # the shared expert first
SUBS = BANKS * SUB_EXPERTS
TASK_EXPERTS = SHARED + TASKS * OWN
CHOICES = SHARED + OWN


class Bank(nn.Module):
    """`n` linear layers, each on an input of its own: [n][rows][inputs] -> [n][rows][outputs]"""

    def __init__(self, n, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(n, 1, outputs))

    def forward(self, x):
        return torch.baddbmm(self.bias, x, self.weight)


class Heads(nn.Module):
    """The task experts, gates and towers of one scenario."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, TASK_EXPERTS * EXPERT[0] + TASKS * CHOICES)
        self.second = Bank(TASK_EXPERTS, EXPERT[0], EXPERT[1])
        self.tower = nn.Sequential(
            Bank(TASKS, EXPERT[1], TOWER[0]), nn.ReLU(), Bank(TASKS, TOWER[0], TOWER[1]), nn.ReLU(), Bank(TASKS, TOWER[1], 1)
        )

    def forward(self, c):
        rows, wide = len(c), TASK_EXPERTS * EXPERT[0]
        h = self.first(c)
        hidden = h[:, :wide].relu().view(rows, TASK_EXPERTS, EXPERT[0]).transpose(0, 1)
        gates = h[:, wide:].view(rows, TASKS, CHOICES).softmax(2)
        experts = self.second(hidden).relu()
        mixed = []
        for t in range(TASKS):
            own = experts[SHARED + t * OWN : SHARED + (t + 1) * OWN]
            mixed.append(torch.einsum("be,ebd->bd", gates[:, t], torch.cat([experts[:SHARED], own])))
        return self.tower(torch.stack(mixed)).squeeze(2).t()


class HiNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(WIDTH, SUBS * SEI[0] + SUBS)
        self.second = Bank(SUBS, SEI[0], SEI[1])
        self.scenario = nn.Embedding(SCENARIOS, SCENARIO_WIDTH)
        self.san = nn.Sequential(
            nn.Linear(SCENARIO_WIDTH, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, SCENARIOS)
        )
        self.heads = nn.ModuleList(Heads(3 * SEI[-1]) for _ in range(SCENARIOS))
        self.register_buffer("own", torch.eye(SCENARIOS, dtype=torch.bool))

    def sub_experts(self, x):
        """The shared and all specific experts: [1 + scenarios][rows][width]"""
        rows, wide = len(x), SUBS * SEI[0]
        h = self.first(x)
        hidden = h[:, :wide].relu().view(rows, SUBS, SEI[0]).transpose(0, 1)
        gates = h[:, wide:].view(rows, BANKS, SUB_EXPERTS).softmax(2)
        q = self.second(hidden).relu().view(BANKS, SUB_EXPERTS, rows, SEI[1])
        return torch.einsum("bmk,mkbd->mbd", gates, q)

    def forward(self, x, counts):
        """Logits [rows][tasks]; the rows are sorted by scenario, counts[i] of scenario i."""
        experts = self.sub_experts(x)
        others = self.san(self.scenario.weight).masked_fill(self.own, float("-inf")).softmax(1)
        logits, begin = [], 0
        for i, (heads, n) in enumerate(zip(self.heads, counts)):
            if n == 0:
                continue
            rows = experts[:, begin : begin + n]
            attended = torch.einsum("m,mbd->bd", others[i], rows[1:])
            logits.append(heads(torch.cat([rows[0], rows[1 + i], attended], 1)))
            begin += n
        return torch.cat(logits)


class Model(nn.Module):
    """HiNet and the sizes of the scenarios in the batch that it is measured on."""

    def __init__(self, rows):
        super().__init__()
        self.net = HiNet()
        self.counts = (rows // SCENARIOS,) * SCENARIOS

    def forward(self, x):
        return self.net(x, self.counts)


def make(rows):
    assert rows % SCENARIOS == 0, "scenarios are evenly mixed"
    return Model(rows), F.binary_cross_entropy_with_logits


if __name__ == "__main__":
    common.main(make, [2046, 4092], fused=True)

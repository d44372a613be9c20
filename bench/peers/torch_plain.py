"""HiNet in PyTorch as most would write it: a module for each network, every head of every
scenario computed for every row, and the row's own chosen by a one-hot mask."""
import torch
from torch import nn
from torch.nn import functional as F

import torch_common as common
from torch_common import EXPERT, OWN, SCENARIO_WIDTH, SCENARIOS, SEI, SHARED, SUB_EXPERTS, TASKS, TOWER, WIDTH


def mlp(width, units):
    layers = []
    for unit in units:
        layers += [nn.Linear(width, unit), nn.ReLU()]
        width = unit
    return nn.Sequential(*layers)


def mix(experts, weights):
    """[rows][n][width], [rows][n] -> [rows][width]"""
    return (experts * weights.unsqueeze(-1)).sum(1)


class SubExperts(nn.Module):
    """SEI(x) = sum over k of softmax(W x + b)_k Q_k(x)"""

    def __init__(self, width):
        super().__init__()
        self.experts = nn.ModuleList(mlp(width, SEI) for _ in range(SUB_EXPERTS))
        self.gate = nn.Linear(width, SUB_EXPERTS)

    def forward(self, x):
        return mix(torch.stack([expert(x) for expert in self.experts], 1), self.gate(x).softmax(1))


class Head(nn.Module):
    """A cell: its own experts, its gate over them and the shared ones, its tower."""

    def __init__(self, width):
        super().__init__()
        self.experts = nn.ModuleList(mlp(width, EXPERT) for _ in range(OWN))
        self.gate = nn.Linear(width, OWN + SHARED)
        self.tower = nn.Sequential(mlp(EXPERT[-1], TOWER), nn.Linear(TOWER[-1], 1))

    def forward(self, c, shared):
        experts = torch.stack([expert(c) for expert in self.experts] + shared, 1)
        return self.tower(mix(experts, self.gate(c).softmax(1)))


class HiNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = SubExperts(WIDTH)
        self.specific = nn.ModuleList(SubExperts(WIDTH) for _ in range(SCENARIOS))
        self.scenario = nn.Embedding(SCENARIOS, SCENARIO_WIDTH)
        self.san = nn.Sequential(mlp(SCENARIO_WIDTH, (128, 64)), nn.Linear(64, SCENARIOS))
        width = 3 * SEI[-1]
        self.task_shared = nn.ModuleList(mlp(width, EXPERT) for _ in range(SHARED))
        self.heads = nn.ModuleList(Head(width) for _ in range(SCENARIOS * TASKS))

    def forward(self, x, scenario):
        """Logits of every cell: [rows][scenarios x tasks]"""
        own = F.one_hot(scenario, SCENARIOS)
        specific = torch.stack([experts(x) for experts in self.specific], 1)
        others = self.san(self.scenario(scenario)).masked_fill(own > 0, float("-inf")).softmax(1)
        c = torch.cat([self.shared(x), mix(specific, own.to(x.dtype)), mix(specific, others)], 1)
        shared = [expert(c) for expert in self.task_shared]
        return torch.cat([head(c, shared) for head in self.heads], 1)


class Model(nn.Module):
    """HiNet and the scenarios of the batch that it is measured on."""

    def __init__(self, rows):
        super().__init__()
        self.net = HiNet()
        self.register_buffer("scenario", torch.randint(SCENARIOS, (rows,)))

    def forward(self, x):
        logits = self.net(x, self.scenario).view(-1, SCENARIOS, TASKS)
        return logits[torch.arange(len(x)), self.scenario]


def make(rows):
    return Model(rows), F.binary_cross_entropy_with_logits


if __name__ == "__main__":
    common.main(make, [512, 2048, 4096], fused=False)

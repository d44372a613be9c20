"""What the two PyTorch peers share: the sizes, the input, the loop and its clock.

The input of width 320 is given, as a batch of random numbers, unless --inputs asks for 20
embedding tables of 10,000 rows. hinet_bench always has the tables, so what is given favours
the peer. Prints {"batch size": rows a second} as JSON.
"""
import argparse
import json
import time

import torch
from torch import nn

SCENARIOS, TASKS, WIDTH, SUB_EXPERTS = 6, 2, 320, 5
SEI, EXPERT, TOWER = (128, 64), (128, 64), (128, 64)
SHARED, OWN = 2, 2  # task experts of a scenario, and of a cell
TABLES, TABLE_ROWS, TABLE_WIDTH = 20, 10_000, 16
SCENARIO_WIDTH = 64


class Given(nn.Module):
    """Random numbers that want a gradient, as the output of an embedding layer would."""

    def sample(self, rows):
        return torch.randn(rows, WIDTH, requires_grad=True)

    def forward(self, x):
        return x


class Embeddings(nn.Module):
    """All tables as one, so that a batch is one lookup."""

    def __init__(self, sparse):
        super().__init__()
        self.table = nn.Embedding(TABLES * TABLE_ROWS, TABLE_WIDTH, sparse=sparse)
        nn.init.normal_(self.table.weight, std=0.05)

    def sample(self, rows):
        return torch.randint(TABLE_ROWS, (rows, TABLES)) + torch.arange(TABLES) * TABLE_ROWS

    def forward(self, ids):
        return self.table(ids).flatten(1)


INPUTS = {"given": Given, "dense": lambda: Embeddings(False), "sparse": lambda: Embeddings(True)}


def optimizers(model, inputs, fused):
    """Adam; rows of a sparse table need an Adam of their own."""
    tables = list(inputs.parameters())
    if not tables or not inputs.table.sparse:
        return [torch.optim.Adam([*model.parameters(), *tables], lr=1e-3, fused=fused)]
    return [
        torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused),
        torch.optim.SparseAdam(tables, lr=1e-3),
    ]


def rows_per_second(step, rows, seconds):
    """Of the median step, as hinet_bench has it."""
    step()
    step()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return rows / sorted(times)[len(times) // 2]


def main(make_model, batches, fused):
    """`make_model(rows)` gives a module that maps a batch of inputs to logits, and the function
    that takes the labels and the logits to the loss."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--inputs", choices=INPUTS, default="given")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batches", type=int, nargs="+", default=batches)
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    rates = {}
    for rows in options.batches:
        inputs = INPUTS[options.inputs]()
        model, loss_of = make_model(rows)
        forward = torch.compile(model, dynamic=False) if options.compile else model
        steppers = optimizers(model, inputs, fused)
        x, labels = inputs.sample(rows), (torch.rand(rows, TASKS) < 0.1).float()

        def step():
            loss = loss_of(forward(inputs(x)), labels)
            for stepper in steppers:
                stepper.zero_grad()
            loss.backward()
            for stepper in steppers:
                stepper.step()

        rates[rows] = rows_per_second(step, rows, options.seconds)
    print(json.dumps(rates))

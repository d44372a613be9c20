"""200 candidates of one request through onnxruntime: the plain export of HiNet and the best graph
we could write of it (own heads of one scenario, banks as one product).

The input of width 320 is given, so that the peer looks up no embeddings. Prints the fastest and
the median milliseconds of each as JSON.
"""
import argparse
import json
import pathlib
import tempfile
import time
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

import torch_best
import torch_plain
from torch_common import SCENARIOS, WIDTH

CANDIDATES = 200


class OneScenario(nn.Module):
    """All rows are of the first scenario."""

    def __init__(self):
        super().__init__()
        self.net = torch_best.HiNet()

    def forward(self, x):
        return self.net(x, (CANDIDATES,) + (0,) * (SCENARIOS - 1))


def export(model, inputs, path):
    names = ["x", "s"][: len(inputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), inputs, str(path), input_names=names, output_names=["o"], opset_version=17, dynamo=False)


def open_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def milliseconds(run, seconds):
    for _ in range(5):
        run()
    times, begin = [], time.perf_counter()
    while len(times) < 20 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return {"fastest": min(times), "median": sorted(times)[len(times) // 2]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    torch.manual_seed(1)
    x = torch.randn(CANDIDATES, WIDTH)
    scenario = torch.zeros(CANDIDATES, dtype=torch.long)
    found = {}
    with tempfile.TemporaryDirectory(prefix="hinet-peers-") as folder:
        for name, model, inputs in (
            ("plain", torch_plain.HiNet(), (x, scenario)),
            ("best", OneScenario(), (x,)),
        ):
            path = pathlib.Path(folder) / f"{name}.onnx"
            export(model, inputs, path)
            session = open_session(path, options.threads)
            feed = {"x": np.asarray(x), "s": np.asarray(scenario)}
            feed = {one.name: feed[one.name] for one in session.get_inputs()}
            found[name] = milliseconds(lambda: session.run(None, feed), options.seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

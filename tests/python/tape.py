"""Reverse-mode differentiation in NumPy, just enough of it for reference.py: a Value remembers
what it was computed from, and `backward` goes through that history once, newest first. Slow
and obvious on purpose; test_reference.py checks each operation against differences."""

import itertools

import numpy as np

_serial = itertools.count()


class Value:
    def __init__(self, data, parents=(), back=None):
        self.data = np.asarray(data, np.float64)
        self.parents, self.back = parents, back  # back(g): the parents' gradients
        self.grad = None
        self.serial = next(_serial)

    @property
    def shape(self):
        return self.data.shape

    def __add__(self, other):
        other = value(other)
        return Value(self.data + other.data, (self, other), lambda g: (_fit(g, self), _fit(g, other)))

    def __mul__(self, other):
        other = value(other)
        return Value(self.data * other.data, (self, other),
                     lambda g: (_fit(g * other.data, self), _fit(g * self.data, other)))

    def __sub__(self, other):
        return self + value(other) * -1.0

    def __matmul__(self, other):
        return Value(self.data @ other.data, (self, other), lambda g: (g @ other.data.T, self.data.T @ g))

    def __getitem__(self, key):
        return Value(self.data[key], (self,), lambda g: (_Part(key, g),))


class _Part:
    """A gradient of some of a parent's numbers only."""

    def __init__(self, key, g):
        self.key, self.g = key, g

    def add_to(self, grad):
        keys = self.key if isinstance(self.key, tuple) else (self.key,)
        if any(isinstance(k, (np.ndarray, list)) for k in keys):  # a number may be there twice
            np.add.at(grad, self.key, self.g)
        else:
            grad[self.key] += self.g


def value(x):
    return x if isinstance(x, Value) else Value(x)


def _fit(g, to):
    """Sums a gradient over the axes along which `to` was broadcast."""
    if g.shape == to.shape:
        return g
    g = g.sum(axis=tuple(range(g.ndim - to.data.ndim)))
    return g.sum(axis=tuple(k for k, n in enumerate(to.shape) if n == 1), keepdims=True).reshape(to.shape)


def relu(x):
    return Value(np.maximum(x.data, 0), (x,), lambda g: (g * (x.data > 0),))


def softmax(x):
    """Over the last axis. dx = y ⊙ (dy - Σ y ⊙ dy)."""
    e = np.exp(x.data - x.data.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return Value(y, (x,), lambda g: (y * (g - (y * g).sum(axis=-1, keepdims=True)),))


def sigmoid(x):
    y = 0.5 * (1 + np.tanh(x.data / 2))
    return Value(y, (x,), lambda g: (g * y * (1 - y),))


def rsqrt(x):
    """1 / √x"""
    y = 1 / np.sqrt(x.data)
    return Value(y, (x,), lambda g: (-0.5 * g * y ** 3,))


def exp(x):
    y = np.exp(x.data)
    return Value(y, (x,), lambda g: (g * y,))


def mean(x):
    """Over the last axis, which stays with length 1."""
    n = x.shape[-1]
    return Value(x.data.mean(axis=-1, keepdims=True), (x,), lambda g: (np.broadcast_to(g / n, x.shape),))


def log_sum_exp(x):
    """Over the last axis, which stays with length 1."""
    top = x.data.max(axis=-1, keepdims=True)
    y = top + np.log(np.exp(x.data - top).sum(axis=-1, keepdims=True))
    return Value(y, (x,), lambda g: (g * np.exp(x.data - y),))


def concat(values):
    """Along the last axis."""
    ends = np.cumsum([v.shape[-1] for v in values])[:-1]
    return Value(np.concatenate([v.data for v in values], axis=-1), tuple(values),
                 lambda g: tuple(np.split(g, ends, axis=-1)))


def total(x):
    return Value(x.data.sum(), (x,), lambda g: (np.full_like(x.data, g),))


def bce(z, y):
    """-y log σ(z) - (1 - y) log(1 - σ(z)), without overflow; d/dz = σ(z) - y."""
    loss = np.maximum(z.data, 0) - z.data * y + np.log1p(np.exp(-np.abs(z.data)))
    return Value(loss, (z,), lambda g: (g * (0.5 * (1 + np.tanh(z.data / 2)) - y),))


def backward(root):
    """Sets `grad` of everything that `root`, one number, depends on."""
    history, waiting = {}, [root]
    while waiting:
        v = waiting.pop()
        if v.serial not in history:
            history[v.serial] = v
            v.grad = np.zeros_like(v.data)
            waiting.extend(v.parents)
    root.grad = np.ones_like(root.data)
    for serial in sorted(history, reverse=True):
        v = history[serial]
        if v.parents:
            for parent, g in zip(v.parents, v.back(v.grad)):
                if isinstance(g, _Part):
                    g.add_to(parent.grad)
                else:
                    parent.grad += g

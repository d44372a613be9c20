"""Reads packs, the container of bundles and datasets, by the layout drawn in src/base/pack.h.
Written apart from the C reader, so that a file that both can read is one that the drawing
describes. Every checksum is verified with the system's libxxhash."""

import ctypes
import struct

import numpy as np

TYPES = [np.uint8, np.uint8, np.uint16, np.uint32, np.uint64, np.int32, np.int64, np.float32, np.float64]
ALIGN, HEADER = 64, 64

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh3(data):
    return _xxhash.XXH3_64bits(bytes(data), len(data))


class DamagedPack(ValueError):
    pass


def _need(condition, what):
    if not condition:
        raise DamagedPack(what)


def _header(data, kind):
    _need(len(data) >= HEADER, "shorter than a header")
    magic, version, found = struct.unpack_from("<8sI4s", data)
    at, size, sum_, file_bytes, header_sum = struct.unpack_from("<5Q", data, 16)
    _need(magic == b"HNPACK\r\n" and version == 1, f"magic {magic!r}, version {version}")
    _need(header_sum == xxh3(data[:48]) and not any(data[56:64]), "header damaged")
    _need(found == kind, f"kind {found!r}, expected {kind!r}")
    _need(file_bytes == len(data) == at + size and at % ALIGN == 0, "length differs from the header's")
    _need(sum_ == xxh3(data[at:]), "directory damaged")
    return at


def read_pack(path, kind):
    """{section: array of its type and dimensions}; bytes for sections of plain bytes."""
    data = path.read_bytes()
    directory = at = _header(data, kind)
    sections, end = {}, HEADER
    names = []
    while at < len(data):
        name_bytes, type_, dims = struct.unpack_from("<HBB", data, at)
        dim = struct.unpack_from(f"<{dims}Q", data, at + 4)
        offset, size, sum_ = struct.unpack_from("<3Q", data, at + 4 + 8 * dims)
        at += 4 + 8 * dims + 24
        name = data[at:at + name_bytes].decode()
        at += name_bytes
        body = data[offset:offset + size]
        _need(offset % ALIGN == 0 and HEADER <= offset and offset + size <= directory, f"{name}: outside")
        _need(xxh3(body) == sum_, f"{name}: damaged")
        numbers = np.frombuffer(body, TYPES[type_])
        _need(numbers.size == int(np.prod(dim)), f"{name}: {numbers.size} numbers, dimensions {dim}")
        sections[name] = body if type_ == 0 else numbers.reshape(dim)
        names.append(name)
        end = max(end, offset + size)
    _need(names == sorted(set(names)), "names out of order")
    _need(0 <= directory - end < ALIGN, "bytes that no section owns")
    return sections

"""Reads an .rfga file, version 1.x, as the package comment of runtime/format describes it, and prints it as JSON.

Written from that text alone, to show that it is enough. Floats are printed as their 32 bits.
"""
import hashlib
import json
import struct
import sys

TYPES = {1: ("f32", 4), 2: ("f16", 2), 3: ("i8", 1), 4: ("i16", 2), 5: ("i32", 4), 6: ("i64", 8)}
ROLES = ["activation", "constant", "weights", "inner"]
KINDS = ["", "conv2d", "depthwise_conv2d", "fully_connected", "add", "mul", "unary", "max_pool", "avg_pool", "global_avg_pool",
         "concat", "pad", "softmax", "resize", "quantize", "dequantize", "rfga", "cam_head", "gather", "permute", "normalize"]
INF = 0x7F800000
# key: name, words, defaults, signed, boolean
ATTRS = {1: ("kernel", [1, 1]), 2: ("stride", [1, 1]), 3: ("dilation", [1, 1]), 4: ("pad", [0, 0, 0, 0]), 5: ("groups", [1]),
         6: ("axis", [3]), 7: ("func", [0]), 8: ("mode", [0]), 9: ("align_corners", [0]), 10: ("count_include_pad", [0]),
         11: ("clamp_lo", [0x80000000 | INF]), 12: ("clamp_hi", [INF]), 13: ("q_lo", [-128]), 14: ("q_hi", [127]),
         15: ("pad_value", [0]), 16: ("a", [0x3F800000]), 17: ("b", [0x3F800000]), 18: ("mults", []),
         19: ("epsilon", [0]), 20: ("dims", []), 21: ("perm", []), 22: ("off", [0])}


def need(condition, what):
    if not condition:
        sys.exit("bad file: " + what)


class Reader:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def get(self, code, n=1):
        size = struct.calcsize("<%d%s" % (n, code))
        need(self.pos + size <= len(self.data), "a record is cut short")
        values = struct.unpack_from("<%d%s" % (n, code), self.data, self.pos)
        self.pos += size
        return list(values)

    def u8(self): return self.get("B")[0]
    def u16(self): return self.get("H")[0]
    def u32(self): return self.get("I")[0]
    def i32(self): return self.get("i")[0]
    def u64(self): return self.get("Q")[0]

    def count(self, most, size=1):
        n = self.u32()
        need(n <= most and n * size <= len(self.data) - self.pos, "count %d" % n)
        return n

    def str(self):
        n = self.count(65536)
        self.pos += n
        return self.data[self.pos - n:self.pos].decode("utf-8")


def up(n):
    return (n + 63) // 64 * 64


def sections(f):
    need(f[:8] == bytes.fromhex("89524647410D0A1A") and len(f) >= 64, "magic")
    major, minor, count, size, flags, zero = struct.unpack_from("<HHIQII", f, 8)
    need(major == 1, "major version %d" % major)
    need(size == len(f), "size")
    if flags & 2:
        covered = f[:32] + b"".join(hashlib.sha256(f[at:at + 2**20]).digest() for at in range(64, len(f), 2**20))
    else:
        covered = f[:32] + bytes(32) + f[64:]
    need(hashlib.sha256(covered).digest() == f[32:64], "digest")
    need(6 <= count <= 64 and flags < (4 if minor >= 2 else 2) and zero == 0 and 64 + 24 * count <= len(f), "header")
    found, end = {}, 64 + 24 * count
    for i in range(count):
        name, required, offset, n = struct.unpack_from("<4sIQQ", f, 64 + 24 * i)
        need(offset == up(end) and offset + n <= len(f) and not any(f[end:offset]), "section %r" % name)
        end = offset + n
        name = name.decode("utf-8")
        need(name not in found, "section %s twice" % name)
        if name not in ("META", "LABL", "PROV", "TENS", "OPER", "DATA"):
            need(required == 0, "section %s is required and unknown" % name)
        found[name] = Reader(f[offset:end])
    need(len(f) == up(end) and not any(f[end:]), "end of the file")
    return found, bool(flags & 1)


def tensor(r, data, end):
    name = r.str()
    dtype, role, rank, zero = r.get("B", 4)
    need(dtype in TYPES and role < 4 and 1 <= rank <= 4 and zero == 0, "tensor " + name)
    shape = r.get("I", rank)
    t = {"name": name, "type": TYPES[dtype][0], "role": ROLES[role], "shape": shape}
    t["scale"] = r.get("I", r.count(1 << 24, 4))
    t["zero"] = r.i32()
    if role in (1, 2):
        offset, size = r.u64(), r.u64()
        stored = shape[:-1] + [(shape[-1] + 3) // 4 * 4 if role == 2 else shape[-1]]
        n = TYPES[dtype][1]
        for d in stored:
            n *= d
        need(offset == up(end) and size == n and offset + size <= len(data) and not any(data[end:offset]), "data of " + name)
        end = offset + size
        t["sha256"] = hashlib.sha256(data[offset:end]).hexdigest()
    return t, end


def operator(r):
    kind, inputs, outputs, inner, attrs = r.u16(), r.u8(), r.u8(), r.u8(), r.u8()
    need(1 <= kind < len(KINDS), "operator kind %d" % kind)
    op = {"kind": KINDS[kind], "name": r.str(), "inputs": r.get("i", inputs), "outputs": r.get("i", outputs), "inner": r.get("i", inner)}
    values = {name: default for name, default in ATTRS.values()}
    last = -1
    for _ in range(attrs):
        key, words = r.u16(), r.u16()
        need(key > last, "attribute order")
        last = key
        if key not in ATTRS:
            need(key & 0x8000, "attribute %d" % key)
            r.get("I", words)
            continue
        name, default = ATTRS[key]
        need(words == len(default) or not default, "attribute " + name)
        values[name] = r.get("i" if key in (13, 14) else "I", words)
    single = {n for n, d in ATTRS.values() if len(d) == 1}
    op["attr"] = {n: (v[0] if n in single else v) for n, v in values.items()}
    for n in ("align_corners", "count_include_pad"):
        op["attr"][n] = bool(op["attr"][n])
    return op


def main(path):
    with open(path, "rb") as f:
        s, exact = sections(f.read())
    r = s["META"]
    m = {"exact": exact, "name": r.str(), "arch": r.str(), "input": r.u32()}
    m["outputs"] = [[r.str(), r.u32(), bool(r.u8())] for _ in range(r.count(16))]
    m["pre"] = r.get("I", 3) + r.get("B", 2)
    m["mean"], m["std"] = r.get("I", 3), r.get("I", 3)
    m["norm"], m["threshold"] = r.u8(), r.u32()
    r = s["LABL"]
    m["labels"] = [r.str() for _ in range(r.count(65536))]
    m["provenance"] = [s["PROV"].str() for _ in range(5)]
    r, end, m["tensors"] = s["TENS"], 0, []
    for _ in range(r.count(16384)):
        t, end = tensor(r, s["DATA"].data, end)
        m["tensors"].append(t)
    r = s["OPER"]
    m["ops"] = [operator(r) for _ in range(r.count(8192))]
    s["DATA"].pos = end
    if "QUAL" in s:
        r = s["QUAL"]
        q = m["quality"] = {"images": r.get("I", 4), "outputs": r.get("I", 2)}
        q["activations"] = [[r.u32(), r.get("I", 9), r.u32(), r.u32(), bool(r.u8()), r.get("B", 32)] for _ in range(r.count(16384))]
        q["weights"] = [[r.u32(), r.get("I", 2), r.u32(), r.u32()] for _ in range(r.count(16384))]
    for name, r in s.items():
        need(r.pos == len(r.data) or name not in ("META", "LABL", "PROV", "TENS", "OPER", "DATA", "QUAL"), name + " has bytes left")
    json.dump(m, sys.stdout)


main(sys.argv[1])

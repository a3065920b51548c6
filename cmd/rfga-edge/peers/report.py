"""Writes what bench.py measured into a file of Markdown: its section for this CPU, in the place of an older one.

usage: report.py RESULT.json BENCHMARKS.md
"""
import json
import os
import sys

OURS = "rfga-edge"
INTRO = """# Benchmarks

Each section is what `make peers PEERS=DIR` wrote on one machine: cmd/rfga-edge/peers has the protocol. A ratio is the fastest
peer's median over ours, of one interleaved run on the same models, one image at a time: above 1 we are faster, below 1 (bold)
slower. The share of the peak counts the multiplications of the direct sum: Winograd's method does with fewer.
"""


def find(rows, threads, ours, kind):
    """The fastest row of a kind, int8 or float."""
    rows = [r for r in rows if r["threads"] == threads and (r["runtime"] == OURS) == ours and r["form"].startswith("int8") == (kind == "int8")]
    return min(rows, key=lambda r: r["median"], default=None)


def label(r):
    return f"{r['runtime']} {r['form']}"


def ratio(ours, peer, field="median"):
    if not ours or not peer or not ours.get(field) or not peer.get(field):
        return "-"
    value = peer[field] / ours[field]
    return f"**{value:.2f}**" if value < 1 else f"{value:.2f}"


def table(heads, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [heads, ["---"] * len(heads), *rows]) + "\n"


def ratios(result, kind):
    heads = ["model", "GMAC"]
    for t in result["threads"]:
        heads += [f"ours, {t}t, ms", "of peak" if t == 1 else "times 1t", "fastest peer", "ms", "ratio"]
    lines = []
    for name, m in result["models"].items():
        line, one = [name, f"{m['macs'] / 1e9:.2f}"], find(m["rows"], 1, True, kind)
        for t in result["threads"]:
            ours, peer = find(m["rows"], t, True, kind), find(m["rows"], t, False, kind)
            peak = result["peaks"].get("int8" if kind == "int8" else "fp32")
            share = "-"
            if ours and t == 1 and peak:
                share = f"{m['macs'] / ours['median'] / 1e4 / peak:.0f} %"
            elif ours and one:
                share = f"{one['median'] / ours['median']:.2f}"
            line += [f"{ours['median']:.2f}" if ours else "-", share, label(peer) if peer else "-",
                     f"{peer['median']:.2f}" if peer else "-", ratio(ours, peer)]
        lines.append(line)
    return table(heads, lines)


def starts(result):
    lines = []
    for name, m in result["models"].items():
        rows = [r for r in m["rows"] if r.get("cold_s") and r["form"].startswith("int8")]
        for r in rows:
            r["start"] = r["cold_s"] - r["median"] / 1e3
        ours, peers = [r for r in rows if r["runtime"] == OURS], [r for r in rows if r["runtime"] != OURS]
        if ours and peers:
            quick, lean = min(peers, key=lambda r: r["start"]), min(peers, key=lambda r: r["peak_rss_mib"])
            lines.append([name, f"{ours[0]['start']:.3f}", f"{quick['start']:.3f}", label(quick), ratio(ours[0], quick, "start"),
                          f"{ours[0]['peak_rss_mib']:.0f}", f"{lean['peak_rss_mib']:.0f}", label(lean), ratio(ours[0], lean, "peak_rss_mib")])
    return table(["model", "ours, s", "quickest peer, s", "", "ratio", "ours, MiB", "leanest peer, MiB", "", "ratio"], lines)


def everyone(result):
    lines = []
    for name, m in result["models"].items():
        for r in sorted(m["rows"], key=lambda r: (r["threads"], r["median"])):
            c = r["correlation"]
            lines.append([name, r["threads"], label(r), f"{r['median']:.2f}", f"{r['min']:.2f}", f"{min(r['rounds']):.2f}-{max(r['rounds']):.2f}",
                          f"{m['macs'] / r['median'] / 1e6:.1f}", c.get("logits", "-"), c.get("maps", "-"),
                          f"{r['cold_s']:.2f}" if r.get("cold_s") else "", f"{r['peak_rss_mib']:.0f}" if r.get("peak_rss_mib") else ""])
    return table(["model", "threads", "runtime", "median ms", "min ms", "medians of rounds", "GMAC/s", "logits", "maps", "cold s", "RSS MiB"], lines)


def section(result):
    rows = [r for m in result["models"].values() for r in m["rows"]]
    versions = sorted({f"{r['runtime']} {r['version'].split('-')[0]}" for r in rows})
    system = ".".join(result["system"].split(".")[:2])
    isa = next((r["isa"] for r in rows if r["isa"]), "?")
    peaks = ", ".join(f"{k} {v:.1f}" for k, v in result["peaks"].items() if v)
    held = "\nPeers choose kernels by the CPUID instruction; here it was answered without AVX-512 and AVX-VNNI for all (avx2only.py).\n" if result["held"] else ""
    floats = ""
    if not all(r["form"].startswith("int8") for r in rows):
        floats = f"### Float: our fp16 files against their fp32\n\n{ratios(result, 'float')}\n"
    quiet = "; ".join(f"{name} {m['steal']} %, {m['load']}" for name, m in result["models"].items())
    return f"""{heading(result)}
{result['when']}, {result['cores']} processors, {system}, {isa}. {', '.join(versions)}. Peak of one core, GMAC/s: {peaks}.
{result['rounds']} rounds of {result['secs']} s for each contestant. Time stolen by other guests of the machine and load average: {quiet}.
{held}
### int8

{ratios(result, 'int8')}
{floats}### int8 start and memory

From the start of the process to the first result, less one warm inference, and the most memory held up to then; one thread. Ours
includes the check of the file's digest, the peers' their import by Python.

{starts(result)}
### Everyone

Correlations are with the float32 outputs of ONNX Runtime, of maps each less its mean.

{everyone(result)}"""


def heading(result):
    return f"## {result['cpu']}{', held to ' + result['held'] if result['held'] else ''}\n"


def put(target, heading, section):
    """Writes a section into the file, in the place of an older one of that heading."""
    text = INTRO
    if os.path.exists(target):
        with open(target) as f:
            text = f.read()
    head, found, rest = text.partition("\n" + heading)
    if found:
        after = rest.find("\n## ")
        rest = rest[after:] if after >= 0 else ""
    with open(target, "w") as f:
        f.write(head.rstrip("\n") + "\n\n" + section.rstrip("\n") + "\n" + rest)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    with open(source) as f:
        result = json.load(f)
    put(target, heading(result), section(result))

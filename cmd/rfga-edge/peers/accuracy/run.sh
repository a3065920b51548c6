#!/bin/sh
# int8 of EfficientNet-Lite0 by rfga-edge, ONNX Runtime and OpenVINO NNCF, with the same calibration images, against the float
# model on the same photographs and composites. usage: run.sh DIR [BENCHMARKS.md]. Needs ./rfga-edge in the repository's root, python3
# with venv and pip, apt-get and dpkg (Debian). What is there already is kept; the rest takes about 20 minutes and 2 GB.
set -eu
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../../../..")
table=$(realpath "${2:-$root/BENCHMARKS.md}")
mkdir -p "$1" && cd "$1"
venv() { # NAME PACKAGE...
	name=$1
	shift
	[ -d "$name" ] || python3 -m venv "$name"
	"$name/bin/pip" install -q "$@"
}
venv v_ort onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 sympy==1.14.0 pillow==13.0.0
venv v_nncf nncf==3.4.0 onnx==1.23.2 openvino==2026.4.1

sh "$root/defaultmodel/build/lite0.sh"
[ -f lite0.onnx ] || v_ort/bin/python "$here/lite0_onnx.py" lite0.pth lite0.onnx
[ -f eval.npy ] || {
	for p in gcompris-qt-data tuxpaint-stamps-default; do
		[ -d $p ] || { apt-get download -q $p && dpkg -x ${p}_*.deb $p && rm ${p}_*.deb; }
	done
	for r in categorization explore_world_animals explore_monuments clickgame explore_world_music; do
		[ -d rcc/$r ] || python3 "$root/defaultmodel/build/unpack_rcc.py" gcompris-qt-data/usr/share/gcompris-qt/rcc/$r.rcc rcc/$r
	done
	v_ort/bin/python "$here/images.py" rcc tuxpaint-stamps-default "$root/defaultmodel/build/calibration.tsv" .
}
v_ort/bin/python "$here/quantize.py" ort lite0.onnx calib.npy peers
v_nncf/bin/python "$here/quantize.py" nncf lite0.onnx calib.npy peers

mkdir -p logits
[ -f logits/float.npy ] || v_ort/bin/python "$here/logits.py" lite0.onnx eval.npy logits/float.npy
for m in peers/ort_*.onnx; do v_ort/bin/python "$here/logits.py" "$m" eval.npy "logits/$(basename "${m%.*}").npy"; done
for m in peers/nncf_*.xml; do v_nncf/bin/python "$here/logits.py" "$m" eval.npy "logits/$(basename "${m%.*}").npy"; done
ours() { # NAME FLAGS...
	name=$1
	shift
	"$root/rfga-edge" convert lite0.pth --arch efficientnet_lite0 --calibrate calib.npy -o "$name.rfga" "$@"
	"$root/rfga-edge" run "$name.rfga" --input eval.npy --out "$name" >/dev/null
	cp "$name/logits.npy" "logits/$name.npy"
	rm -r "$name"
}
ours rfga_default
ours rfga_percentile --method percentile:99.999
ours rfga_ada --round ada
ours rfga_ada_percentile --round ada --method percentile:99.999
v_ort/bin/python "$here/table.py" logits "$table"

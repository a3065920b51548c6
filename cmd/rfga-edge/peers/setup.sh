#!/bin/sh
# Installs the peers and makes the models. usage: setup.sh DIR        needs python3 with venv and pip; about 1 GB, 10 minutes
set -e
here=$(dirname "$(realpath "$0")")
mkdir -p "$1"
cd "$1"
venv() { # NAME PACKAGE...
	name=$1
	shift
	[ -d "$name" ] || python3 -m venv "$name"
	"$name/bin/pip" install -q "$@"
}
venv v_ort onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 sympy==1.14.0
venv v_ov openvino==2026.4.1
venv v_nncf nncf==3.4.0 onnx==1.23.2 openvino==2026.4.1
models="mnv1_cam r50_cls r50_cam vgg16_cam inc3_cls"
[ -f models/models.json ] || v_ort/bin/python "$here/gen_models.py" models
v_ort/bin/python "$here/quant_ort.py" models $models
v_nncf/bin/python "$here/quant_nncf.py" models $models

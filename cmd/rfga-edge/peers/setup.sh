#!/bin/sh
# Installs the peers and makes the models. usage: setup.sh DIR [all]        needs python3 with venv and pip; about 1 GB, 10 minutes
# With "all" also LiteRT, ncnn and MNN: 4 GB and half an hour more, and up to 12 GB of memory for TensorFlow's converter.
set -e
here=$(dirname "$(realpath "$0")")
mkdir -p "$1"
cd "$1"
venv() { # NAME ARGUMENT...
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
if command -v npm >/dev/null; then
	npm install --silent --prefix v_ortweb onnxruntime-web@1.30.0 >/dev/null
else
	echo "no npm: onnxruntime-web is left out" >&2
fi
[ "$2" = all ] || exit 0

venv v_litert ai-edge-litert==2.3.0
venv v_ncnn --no-deps ncnn==1.0.20261020 pnnx==20261020 numpy==2.4.6
venv v_mnn MNN==3.6.1 numpy==2.4.6
venv v_tf tensorflow-cpu==2.21.0 onnx==1.23.2
v_mnn/bin/python "$here/quant_mnn.py" models $models
for m in $models; do
	images=12
	[ "$m" = r50_cam ] && images=3 # more of them need more memory than many machines have
	v_tf/bin/python "$here/onnx2tflite.py" models "$m" $images
done
pnnx=$(realpath v_ncnn/lib/python3*/site-packages/pnnx/pnnx)
mkdir -p models/ncnn
cd models/ncnn
for m in $models; do
	[ -f "$m.ncnn.param" ] && continue
	size=224
	[ "$m" = inc3_cls ] && size=299
	ln -sf "../$m.onnx" "$m.onnx"
	"$pnnx" "$m.onnx" "inputshape=[1,3,$size,$size]" fp16=0 >"$m.log" 2>&1
	rm -f "$m".pnnx* "$m.onnx" "${m}_pnnx.py" "${m}_ncnn.py"
done
cd ../..
v_ncnn/bin/python "$here/quant_ncnn.py" models $models

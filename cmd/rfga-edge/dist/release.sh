#!/usr/bin/env bash
# Builds static binaries for every platform, with checksums and an SBOM, into DIR (default dist). usage: release.sh [DIR] [--run]
# --run also runs each Linux binary's selftest and one photo, under qemu-user where the machine is another; needs qemu-user.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export GOTOOLCHAIN=auto CGO_ENABLED=0
out=dist run=
for a in "$@"; do
	if [ "$a" = --run ]; then run=1; else out=$a; fi
done
mkdir -p "$out"
platforms="linux/amd64 linux/arm64 linux/arm/7 linux/arm/6 linux/riscv64 darwin/arm64 darwin/amd64 windows/amd64"
host=$(go env GOHOSTARCH)

name() { # PLATFORM: the binary's name
	local os=${1%%/*} arch=${1#*/}
	echo "rfga-edge-$os-${arch/\//v}$([ "$os" = windows ] && echo .exe || true)"
}

for p in $platforms; do
	arch=${p#*/}
	GOOS=${p%%/*} GOARCH=${arch%%/*} GOARM=${arch#arm/} go build -trimpath -ldflags='-s -w' -o "$out/$(name "$p")" ./cmd/rfga-edge
done
cp cmd/rfga-edge/dist/Containerfile cmd/rfga-edge/dist/rfga-edge-camera@.service LICENSE "$out/"

# What is inside, as CycloneDX: the modules that the linker took, with their hashes from go.sum.
go run ./cmd/rfga-edge/dist/sbom "$out/$(name linux/amd64)" >"$out/rfga-edge.cdx.json"

(cd "$out" && sha256sum rfga-edge-* rfga-edge.cdx.json >SHA256SUMS)
(cd "$out" && ls -l rfga-edge-* | awk '{printf "%6.1f MiB  %s\n", $5/1048576, $NF}')

[ -n "$run" ] || exit 0
photo=testdata/photos/panda.jpg
want=
for p in linux/amd64 linux/arm64 linux/arm/7 linux/arm/6 linux/riscv64; do
	arch=${p#linux/} emulator=
	case $arch in
	"$host") ;;
	amd64) emulator=qemu-x86_64 ;;
	arm64) emulator=qemu-aarch64 ;;
	arm/7) emulator="qemu-arm -cpu cortex-a15" ;;
	arm/6) emulator="qemu-arm -cpu arm1176" ;;
	riscv64) emulator=qemu-riscv64 ;;
	esac
	if [ -n "$emulator" ] && ! command -v "${emulator%% *}" >/dev/null; then
		echo "$p: ${emulator%% *} is not installed (Debian: qemu-user)" >&2
		exit 1
	fi
	binary=$out/$(name "$p")
	$emulator "$binary" selftest >/dev/null
	begin=$(date +%s%N)
	$emulator "$binary" version >/dev/null
	start=$((($(date +%s%N) - begin) / 1000000))
	box=$($emulator "$binary" localize --json $photo | grep -o '"box":\[[^]]*\]')
	[ -z "$want" ] && want=$box
	[ "$box" = "$want" ] || { echo "$p: $box, want $want" >&2; exit 1; }
	echo "$p: selftest ok, $box, starts in $start ms${emulator:+ under ${emulator%% *}}"
done

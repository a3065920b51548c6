#!/usr/bin/env bash
# Runs every example host of the plugin on a photo and compares its box with the native one's. A host whose tools are not here is
# skipped with the reason. Needs the modules of 'make plugin' and the command, ./rfga-edge.
set -uo pipefail
cd "$(dirname "$0")/../.."
export GOTOOLCHAIN=auto
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
photo=testdata/photos/panda.jpg
want=$(./rfga-edge localize --json $photo | grep -o '"box":\[[^]]*\]') || exit 1
passed=0 failed=0 skipped=0

check() { # NAME COMMAND...: its output has the native box
	local name=$1 out; shift
	if out=$("$@" 2>"$work/stderr") && grep -qF "$want" <<<"${out// /}"; then
		echo "ok    $name"; passed=$((passed + 1))
	else
		echo "FAIL  $name: want $want, got: $out"; tail -n 20 "$work/stderr"; failed=$((failed + 1))
	fi
}
skip() { echo "skip  $1: $2"; skipped=$((skipped + 1)); }

check "Go, wazero" ./rfga-edge plugin localize --json --plugin rfga-edge.wasm $photo
check "Go, wazero, no SIMD" ./rfga-edge plugin localize --json --plugin rfga-edge-nosimd.wasm $photo
hash() { ./rfga-edge plugin bench --seconds 0.001 --json --plugin "$1" | grep -o '"hash":"[0-9a-f]*"'; }
simd=$(hash rfga-edge.wasm)
if [ -n "$simd" ] && [ "$simd" = "$(hash rfga-edge-nosimd.wasm)" ]; then
	echo "ok    the same outputs with SIMD and without"; passed=$((passed + 1))
else
	echo "FAIL  the outputs differ with SIMD and without"; failed=$((failed + 1))
fi
check "Go, Extism" sh -c "cd examples/plugin/extism && go run . ../../../rfga-edge-extism.wasm ../../../$photo"

if command -v node >/dev/null; then
	check "Node" node --no-warnings examples/plugin/node/localize.mjs rfga-edge.wasm $photo
else
	skip "Node" "node is not installed"
fi

if python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -q wasmtime; then
	check "Python, wasmtime" "$work/venv/bin/python" examples/plugin/python/localize.py rfga-edge.wasm $photo
else
	skip "Python, wasmtime" "no venv, or the package wasmtime cannot be had"
fi

chromium=${CHROMIUM:-$(command -v chromium)}
if [ -n "$chromium" ] && command -v npm >/dev/null && cp -r examples/plugin/browser "$work/" && (cd "$work/browser" && npm install --silent >/dev/null); then
	check_page() { CHROMIUM=$chromium node "$work/browser/test.mjs" rfga-edge.wasm $photo | sed "s/^giant panda.*/& $want/"; }
	check "browser" check_page
else
	skip "browser" "chromium or npm is not installed"
fi

if command -v cargo >/dev/null; then
	check "Rust, wasmtime" env CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$work/target}" cargo run -q --manifest-path examples/plugin/rust/Cargo.toml -- rfga-edge.wasm $photo
else
	skip "Rust, wasmtime" "cargo is not installed"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]

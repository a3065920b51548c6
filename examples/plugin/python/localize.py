"""Localizes photos with rfga-edge.wasm in Python, with the package wasmtime: python localize.py rfga-edge.wasm photo.jpg ..."""
import json
import sys

import wasmtime


class Localizer:
    def __init__(self, path):
        engine = wasmtime.Engine()
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        self.store = wasmtime.Store(engine)
        self.store.set_wasi(wasmtime.WasiConfig())  # no files, no arguments
        self.exports = linker.instantiate(self.store, wasmtime.Module.from_file(engine, path)).exports(self.store)
        self.call("_initialize")
        if self.call("rfga_abi") != 1:
            raise RuntimeError("this program speaks interface 1")
        self.handle = self.check(self.call("rfga_load", 0, 0))  # the model in the module

    def call(self, name, *args):
        return self.exports[name](self.store, *args)

    def check(self, code):
        if code < 0:
            raise ValueError(self.text(self.call("rfga_error")))
        return code

    def text(self, result):
        """A result is address << 32 | size of a text, or a negative number."""
        self.check(result)
        address, size = result >> 32, result & 0xFFFFFFFF
        return bytes(self.exports["memory"].read(self.store, address, address + size)).decode()

    def localize(self, picture, topk=1):
        block = self.call("rfga_alloc", len(picture)) & 0xFFFFFFFF
        self.exports["memory"].write(self.store, picture, block)
        try:
            return json.loads(self.text(self.call("rfga_localize", self.handle, block, len(picture), 0, 0, 0, 0, topk)))
        finally:
            self.check(self.call("rfga_free", block))


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: python localize.py rfga-edge.wasm PHOTO...")
    localizer = Localizer(sys.argv[1])
    failed = 0
    for path in sys.argv[2:]:
        try:
            with open(path, "rb") as f:
                result = localizer.localize(f.read())
            result["src"] = path
        except (OSError, ValueError) as e:
            result, failed = {"v": 1, "src": path, "error": str(e)}, 4
        print(json.dumps(result))
    sys.exit(failed)


if __name__ == "__main__":
    main()

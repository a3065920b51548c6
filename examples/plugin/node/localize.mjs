// Localizes photos with rfga-edge.wasm in Node (20 or newer): node localize.mjs rfga-edge.wasm photo.jpg ...
import { readFileSync } from 'node:fs'
import { WASI } from 'node:wasi'

const [module, ...photos] = process.argv.slice(2)
if (photos.length === 0) {
  console.error('usage: node localize.mjs rfga-edge.wasm PHOTO...')
  process.exit(2)
}

const wasi = new WASI({ version: 'preview1' })
const { instance } = await WebAssembly.instantiate(readFileSync(module), wasi.getImportObject())
wasi.initialize(instance)
const rfga = instance.exports
if (rfga.rfga_abi() !== 1) throw new Error(`interface ${rfga.rfga_abi()}, this program speaks 1`)

// A result is an i64: address and size of a text, or a negative number.
function text(result) {
  if (result < 0) throw new Error(text(rfga.rfga_error()))
  return new TextDecoder().decode(new Uint8Array(rfga.memory.buffer, Number(result >> 32n), Number(result & 0xffffffffn)))
}

function check(code) {
  if (code < 0) throw new Error(text(rfga.rfga_error()))
  return code
}

const handle = check(rfga.rfga_load(0, 0)) // the model in the module
for (const photo of photos) {
  const file = readFileSync(photo)
  const block = rfga.rfga_alloc(file.length) >>> 0
  new Uint8Array(rfga.memory.buffer, block, file.length).set(file)
  try {
    const result = JSON.parse(text(rfga.rfga_localize(handle, block, file.length, 0, 0, 0, 0, 1)))
    result.src = photo
    console.log(JSON.stringify(result))
  } catch (e) {
    console.log(JSON.stringify({ v: 1, src: photo, error: e.message }))
    process.exitCode = 4
  }
  check(rfga.rfga_free(block))
}

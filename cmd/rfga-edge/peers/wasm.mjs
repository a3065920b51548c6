// One WebAssembly runtime and model file in Node, one thread, driven line by line over standard input as worker.py is.
//
// usage: node wasm.mjs rfga-edge MODULE.wasm MODEL.rfga INPUT.npy
//        node wasm.mjs onnxruntime-web FOLDER MODEL.onnx INPUT.npy      FOLDER has node_modules/onnxruntime-web
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [runtime, code, model, inputPath] = process.argv.slice(2)

// An .npy file of float32: the values behind a header whose length is at byte 8.
function readNPY(path) {
  const b = readFileSync(path)
  const header = 10 + b.readUInt16LE(8)
  const shape = b.toString('latin1', 10, header).match(/\(([^)]*)\)/)[1].split(',').filter((s) => s.trim()).map(Number)
  return { shape, values: new Float32Array(b.buffer.slice(b.byteOffset + header, b.byteOffset + b.length)) }
}

async function rfgaEdge() {
  const { WASI } = await import('node:wasi')
  const wasi = new WASI({ version: 'preview1' })
  const { instance } = await WebAssembly.instantiate(readFileSync(code), wasi.getImportObject())
  wasi.initialize(instance)
  const rfga = instance.exports
  const block = (bytes) => {
    const p = rfga.rfga_alloc(bytes.length) >>> 0
    new Uint8Array(rfga.memory.buffer, p, bytes.length).set(bytes)
    return p
  }
  const text = (r) => {
    if (r < 0) throw new Error(text(rfga.rfga_error()))
    return new TextDecoder().decode(new Uint8Array(rfga.memory.buffer, Number(r >> 32n), Number(r & 0xffffffffn)))
  }
  const file = readFileSync(model)
  const handle = rfga.rfga_load(block(file), file.length)
  if (handle < 0) throw new Error(text(rfga.rfga_error()))
  const { isa } = JSON.parse(text(rfga.rfga_info(handle)))
  const infer = ({ values }) => {
    const bytes = new Uint8Array(values.buffer)
    const p = block(bytes)
    const { outputs } = JSON.parse(text(rfga.rfga_run(handle, p, bytes.length)))
    rfga.rfga_free(p)
    return Object.fromEntries(Object.entries(outputs).map(([name, o]) => [name, rfga.memory.buffer.slice(o.ptr, o.ptr + o.len)]))
  }
  return { version: process.version, isa, infer }
}

async function onnxRuntimeWeb() {
  const { createRequire } = await import('node:module')
  const require = createRequire(`${code}/package.json`)
  const ort = require('onnxruntime-web')
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ['wasm'], graphOptimizationLevel: 'all' })
  const infer = async ({ shape, values }) => {
    const out = await session.run({ input: new ort.Tensor('float32', values, shape) })
    return Object.fromEntries(Object.entries(out).map(([name, t]) => [name, t.data.buffer.slice(t.data.byteOffset, t.data.byteOffset + t.data.byteLength)]))
  }
  return { version: ort.env.versions.web ?? ort.env.versions.common, isa: 'wasm', infer }
}

const input = readNPY(inputPath)
const { version, isa, infer } = await (runtime === 'rfga-edge' ? rfgaEdge() : onnxRuntimeWeb())
await infer(input)
console.log('READY ' + JSON.stringify({ version, isa, cold_s: process.uptime(), peak_rss_mib: process.resourceUsage().maxRSS / 1024 }))

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, seconds, least] = line.split(' ')
  if (verb === 'quit') process.exit(0)
  if (verb === 'out') {
    const { logits } = await infer(input)
    console.log(JSON.stringify({ logits: Array.from(new Float32Array(logits)) }))
    continue
  }
  const times = []
  const end = performance.now() + 1000 * seconds
  while (times.length < least || performance.now() < end) {
    const begin = performance.now()
    await infer(input)
    times.push(performance.now() - begin)
  }
  console.log(JSON.stringify(times))
}

// Runs rfga-edge.wasm, served beside this file, for the page. The module asks little of WASI: clocks, random bytes, time to pass, no files.

let memory
const view = () => new DataView(memory.buffer)
const BADF = 8

const wasi = {
  clock_time_get(id, precision, out) {
    const ms = id === 0 ? Date.now() : performance.now()
    view().setBigUint64(out, BigInt(Math.round(ms * 1e6)), true)
    return 0
  },
  random_get(address, size) {
    crypto.getRandomValues(new Uint8Array(memory.buffer, address, size))
    return 0
  },
  poll_oneoff(list, events, count, out) { // the collector's pauses; nothing has to wait here
    for (let i = 0; i < count; i++) {
      view().setBigUint64(events + 32 * i, view().getBigUint64(list + 48 * i, true), true)
      view().setBigUint64(events + 32 * i + 8, 0n, true)
    }
    view().setUint32(out, count, true)
    return 0
  },
  args_sizes_get: none, environ_sizes_get: none,
  args_get: () => 0, environ_get: () => 0, sched_yield: () => 0,
  fd_write(fd, list, count, out) { // what a crash prints
    let text = '', size = 0
    for (let i = 0; i < count; i++) {
      const address = view().getUint32(list + 8 * i, true), n = view().getUint32(list + 8 * i + 4, true)
      text += new TextDecoder().decode(new Uint8Array(memory.buffer, address, n))
      size += n
    }
    view().setUint32(out, size, true)
    console.error(text)
    return 0
  },
  proc_exit(code) { throw new Error(`the module ended with code ${code}`) },
}

function none(count, size) {
  view().setUint32(count, 0, true)
  view().setUint32(size, 0, true)
  return 0
}

const imports = { wasi_snapshot_preview1: new Proxy(wasi, { get: (known, name) => known[name] ?? (() => BADF) }) }

async function start() {
  const { instance } = await WebAssembly.instantiateStreaming(fetch('rfga-edge.wasm'), imports)
  const rfga = instance.exports
  memory = rfga.memory
  rfga._initialize()
  if (rfga.rfga_abi() !== 1) throw new Error(`interface ${rfga.rfga_abi()}, this page speaks 1`)

  const text = result => {
    if (result < 0) throw new Error(text(rfga.rfga_error()))
    return new TextDecoder().decode(new Uint8Array(memory.buffer, Number(result >> 32n), Number(result & 0xffffffffn)))
  }
  const handle = rfga.rfga_load(0, 0)
  if (handle < 0) throw new Error(text(rfga.rfga_error()))

  onmessage = ({ data: { pixels, width, height } }) => {
    const size = pixels.byteLength, block = rfga.rfga_alloc(size) >>> 0
    try {
      if (block === 0) throw new Error('The photo is too large.')
      new Uint8Array(memory.buffer, block, size).set(new Uint8Array(pixels))
      const rgba = 3
      postMessage({ result: JSON.parse(text(rfga.rfga_localize(handle, block, size, width, height, 4 * width, rgba, 1))) })
    } catch (e) {
      postMessage({ error: e.message })
    } finally {
      rfga.rfga_free(block)
    }
  }
  postMessage({ ready: JSON.parse(text(rfga.rfga_info(handle))) })
}

start().catch(e => postMessage({ error: `The module cannot run here: ${e.message}` }))

// The page: a photo or a source goes to the server's interface, and what comes back is drawn. Nothing comes from elsewhere.

const $ = id => document.getElementById(id)
const picture = $('picture')

// ---- Asking the server ----

let token = sessionStorage.getItem('token') ?? ''

// ask fetches with the token, and asks the user for one as long as the server does not take it.
async function ask(path, options = {}) {
  for (let tried = false; ; tried = true) {
    const headers = token ? { ...options.headers, Authorization: `Bearer ${token}` } : options.headers
    const response = await fetch(path, { ...options, headers, credentials: 'omit' })
    if (response.status !== 401) return response
    await askToken(tried || token !== '')
  }
}

let asking // one dialog for all who wait for it
function askToken(wrong) {
  asking ??= new Promise(done => {
    $('wrong').hidden = !wrong
    $('token').value = ''
    $('ask').showModal()
    $('ask').oncancel = e => e.preventDefault()
    $('ask').onclose = () => {
      token = $('token').value
      sessionStorage.setItem('token', token)
      $('lock').hidden = false
      asking = undefined
      done()
    }
  })
  return asking
}

async function answerOf(response) {
  const text = await response.text()
  let object
  try { object = JSON.parse(text) } catch { throw new Error(`The server answers ${response.status} with something that is no JSON.`) }
  if (!response.ok) throw new Error(object.error)
  return object
}

// ---- What is shown ----

const shown = { bitmap: null, record: null, heat: null, photo: null, selected: null }

function problem(text) {
  $('problem').textContent = text ?? ''
  $('problem').hidden = !text
}

function busy(text) {
  $('waittext').textContent = text ?? ''
  $('wait').hidden = !text
}

const percent = p => p >= 0.0995 ? `${Math.round(100 * p)} %` : p >= 0.0005 ? `${(100 * p).toFixed(1)} %` : '<0.1 %'
const nameOf = c => c.label.split(',')[0] || `class ${c.id}`
const accents = ['#5cf2e3', '#b8f34a', '#ffffff', '#8fc7ff', '#ffa8e2']

// ---- Looking at a photo ----

let looking // aborts what is under way

async function look(file) {
  if (!file) return
  watchNothing()
  choose('')
  problem()
  looking?.abort()
  looking = new AbortController()
  const { signal } = looking
  busy('Looking…')
  try {
    const [bitmap, record] = await Promise.all([
      createImageBitmap(file).catch(() => null),
      localize(file, 'topk=5&locate=1&heatmap=png', signal),
    ])
    if (signal.aborted) return
    Object.assign(shown, { photo: file, bitmap: bitmap ?? blank(record), selected: null })
    await show(record, record.heat)
    addTime(record.us)
  } catch (e) {
    if (!signal.aborted) problem(e.message)
  } finally {
    if (!signal.aborted) busy()
  }
}

async function localize(file, query, signal) {
  return answerOf(await ask(`/v1/localize?${query}`, { method: 'POST', body: file, signal, headers: { 'Content-Type': 'application/octet-stream' } }))
}

// blank stands for a photo that the server can read and the browser cannot.
function blank(record) {
  const c = new OffscreenCanvas(record.w, record.h)
  c.getContext('2d').fillRect(0, 0, record.w, record.h)
  return c
}

// select shows where a class of the photo would be.
async function select(id) {
  if (shown.selected === id || !shown.photo) return
  shown.selected = id
  markSelected()
  looking?.abort()
  looking = new AbortController()
  const { signal } = looking
  busy('Looking…')
  try {
    const record = await localize(shown.photo, `class=${id}&heatmap=png`, signal)
    if (signal.aborted) return
    shown.heat = await heatLayer(record.heat)
    shown.record.loc = [...record.loc, ...shown.record.loc.filter(l => l.id !== id)]
    draw()
    addTime(record.us)
  } catch (e) {
    if (!signal.aborted) problem(e.message)
  } finally {
    if (!signal.aborted) busy()
  }
}

async function show(record, heat) {
  const layer = await heatLayer(heat)
  shown.record = record
  shown.heat = layer
  shown.selected ??= null
  $('invite').hidden = true
  $('drop').classList.remove('empty')
  picture.hidden = false
  list(record)
  draw()
}

// list shows the classes. Elements are kept from answer to answer, so that the keyboard's focus stays where it is.
function list(record) {
  const best = record.cls[0]
  say(best ? `${nameOf(best)}, ${percent(best.p)}` : 'Nothing found')
  const items = $('classes')
  while (items.children.length > record.cls.length) items.lastChild.remove()
  record.cls.forEach((c, i) => {
    if (!items.children[i]) {
      const li = document.createElement('li')
      li.innerHTML = '<button type="button"><span class="name"></span><span class="p"></span><span class="bar"><i></i></span></button>'
      items.append(li)
    }
    const button = items.children[i].firstChild
    button.querySelector('.name').textContent = nameOf(c)
    button.querySelector('.name').title = c.label
    button.querySelector('.p').textContent = percent(c.p)
    button.querySelector('i').style.width = `${100 * c.p}%`
    button.dataset.id = c.id
    button.disabled = !shown.photo
    button.onclick = () => select(c.id)
  })
  $('hint').hidden = !shown.photo || record.cls.length < 2
  markSelected()
}

function markSelected() {
  const id = shown.selected ?? shown.record?.cls[0]?.id
  for (const b of $('classes').querySelectorAll('button')) b.setAttribute('aria-pressed', String(Number(b.dataset.id) === id))
}

// say changes the sentence that screen readers speak; of a source no more often than people can listen.
const speech = { at: -Infinity, timer: 0 }
function say(text) {
  clearTimeout(speech.timer)
  const now = performance.now(), early = source.name ? speech.at + 2000 - now : 0
  if (early > 0) {
    speech.timer = setTimeout(() => say(text), early)
  } else if ($('said').textContent !== text) {
    speech.at = now
    $('said').textContent = text
  }
}

// ---- Drawing ----

// heatLayer colours a heat map: what is cold steps back, what is warm glows.
async function heatLayer(heat) {
  if (!heat) return null
  const bytes = Uint8Array.from(atob(heat.png), c => c.charCodeAt(0))
  const gray = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
  const canvas = new OffscreenCanvas(heat.w, heat.h), context = canvas.getContext('2d', { willReadFrequently: true })
  context.drawImage(gray, 0, 0)
  const pixels = context.getImageData(0, 0, heat.w, heat.h), d = pixels.data
  for (let i = 0; i < d.length; i += 4) d.set(warm[d[i]], i)
  context.putImageData(pixels, 0, 0)
  return { canvas, region: heat.region }
}

const smooth = x => { x = Math.min(Math.max(x, 0), 1); return x * x * (3 - 2 * x) }
const warm = (() => {
  const stops = [[43, 11, 120], [138, 18, 158], [219, 43, 94], [251, 117, 30], [255, 192, 46], [255, 238, 140]]
  return Array.from({ length: 256 }, (_, i) => {
    const v = i / 255, at = v * 5, k = Math.min(Math.floor(at), 4), f = at - k
    const glow = 0.78 * smooth(v / 0.75), shade = 0.4 * (1 - smooth(v / 0.35))
    const alpha = glow + shade * (1 - glow)
    const mix = [0, 1, 2].map(c => (stops[k][c] + f * (stops[k + 1][c] - stops[k][c])) * glow / Math.max(alpha, 1e-6))
    return [...mix, 255 * alpha]
  })
})()

const maxSide = 2048 // of what is drawn

function draw() {
  const { bitmap, record, heat } = shown
  if (!bitmap || !record) return
  const scale = Math.min(1, maxSide / Math.max(record.w, record.h))
  const w = Math.max(1, Math.round(record.w * scale)), h = Math.max(1, Math.round(record.h * scale))
  if (picture.width !== w || picture.height !== h) { picture.width = w; picture.height = h }
  const g = picture.getContext('2d')
  g.drawImage(bitmap, 0, 0, w, h)
  if (heat) {
    const [x0, y0, x1, y1] = heat.region.map(v => v * scale)
    g.globalAlpha = Number($('heat').value) / 100
    g.drawImage(heat.canvas, x0, y0, x1 - x0, y1 - y0)
    g.globalAlpha = 1
  }
  const id = shown.selected ?? record.cls[0]?.id
  const boxes = record.loc.filter(l => l.id === id)
  const line = Math.max(2, Math.sqrt(w * h) / 230)
  boxes.forEach((l, i) => frame(g, l.box.map(v => v * scale), i === 0 ? `${nameOf(l)}  ${percent(l.p)}` : '', accents[0], line, w))
  picture.setAttribute('aria-label', boxes.length
    ? `The picture, with ${boxes.length === 1 ? 'a box' : `${boxes.length} boxes`} around: ${nameOf(boxes[0])}, from ${boxes[0].box.slice(0, 2)} to ${boxes[0].box.slice(2)} of ${record.w} by ${record.h} pixels`
    : 'The picture; nothing is boxed in it')
}

function frame(g, [x0, y0, x1, y1], text, colour, line, width) {
  for (const [style, extra] of [['rgb(8 12 18 / .75)', 2], [colour, 0]]) {
    g.strokeStyle = style
    g.lineWidth = line + extra
    g.strokeRect(x0, y0, x1 - x0, y1 - y0)
  }
  if (!text) return
  const size = Math.max(13, 9 * line, 15 * picture.width / Math.max(picture.clientWidth, 1))
  g.font = `600 ${size}px system-ui, sans-serif`
  g.textBaseline = 'middle'
  const plate = { w: Math.min(g.measureText(text).width + size, width), h: 1.7 * size }
  const x = Math.max(0, Math.min(x0 - line / 2, width - plate.w)), y = y0 - plate.h >= 0 ? y0 - plate.h : y0
  g.fillStyle = 'rgb(8 12 18 / .86)'
  g.fillRect(x, y, plate.w, plate.h)
  g.fillStyle = colour
  g.fillRect(x, y, Math.max(3, line), plate.h)
  g.fillStyle = '#fff'
  g.fillText(text, x + 0.6 * size, y + plate.h / 2 + size * 0.04, plate.w - size)
}

// ---- Times ----

const steps = ['decode', 'pre', 'infer', 'post']
const maxTimes = 48
let times = []

const ms = us => us < 9950 ? `${(us / 1000).toFixed(1)} ms` : `${Math.round(us / 1000)} ms`

function addTime(us) {
  times.push(us)
  if (times.length > maxTimes) times.shift()
  const sum = t => steps.reduce((n, s) => n + t[s], 0)
  const sorted = times.map(sum).sort((a, b) => a - b)
  const median = ms(sorted[Math.floor(sorted.length / 2)])
  const text = `${ms(sum(us))} for the last answer` + (times.length > 1 ? `, ${median} for the median of ${times.length}` : '')
  $('timesaid').textContent = text
  for (const s of steps) $(`t-${s}`).textContent = ms(us[s])
  $('legend').hidden = $('chart').hidden = false
  $('chart').setAttribute('aria-label', `Bars of the time of the last ${times.length} answers: ${text}`)
  drawTimes(sum)
}

function drawTimes(sum = t => steps.reduce((n, s) => n + t[s], 0)) {
  const canvas = $('chart')
  if (canvas.hidden) return
  const ratio = devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight
  canvas.width = w * ratio
  canvas.height = h * ratio
  const g = canvas.getContext('2d'), css = getComputedStyle(document.documentElement)
  g.scale(ratio, ratio)
  const top = nice(Math.max(...times.map(sum)) / 1000) * 1000
  const left = 3.4 * 12, bottom = h - 6
  g.font = '12px system-ui, sans-serif'
  g.textAlign = 'right'
  g.textBaseline = 'middle'
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(bottom - part * (bottom - 10)) + 0.5
    g.fillStyle = resolved('--quiet')
    g.fillText(part ? `${+(top * part / 1000).toFixed(1)}` : '0 ms', left - 6, y)
    g.strokeStyle = resolved('--line')
    g.beginPath()
    g.moveTo(left, y)
    g.lineTo(w, y)
    g.stroke()
  }
  const step = (w - left) / maxTimes, bar = Math.max(1.5, step - 1.5)
  times.forEach((t, i) => {
    let y = bottom
    const x = left + (maxTimes - times.length + i) * step
    for (const s of steps) {
      const height = t[s] / top * (bottom - 10)
      g.fillStyle = resolved(`--${s}`)
      g.fillRect(x, y - height, bar, height)
      y -= height
    }
  })

  // resolved gives a colour of the style sheet as the current scheme has it.
  function resolved(name) {
    canvas.style.color = `var(${name})`
    return getComputedStyle(canvas).color
  }
}

// nice is a round number not below v.
function nice(v) {
  const p = 10 ** Math.floor(Math.log10(Math.max(v, 0.1)))
  return [1, 2, 4, 5, 10].find(f => f * p >= v) * p
}

// ---- Sources ----

const source = { name: '', stop: null }

function watchNothing() {
  source.stop?.abort()
  source.name = ''
  source.stop = null
}

// watch shows a source until something else is chosen. The stream is begun again when it breaks.
async function watch(name) {
  watchNothing()
  looking?.abort()
  problem()
  choose(name)
  Object.assign(shown, { photo: null, selected: null, record: null, heat: null })
  times = []
  speech.at = -Infinity
  source.name = name
  const stop = source.stop = new AbortController()
  busy(`Waiting for ${name}…`)
  for (let pause = 1000; !stop.signal.aborted; pause = Math.min(2 * pause, 15000)) {
    try {
      const response = await ask(`/v1/sources/${encodeURIComponent(name)}/events?jpeg=1&heatmap=png`, { signal: stop.signal })
      if (!response.ok) await answerOf(response)
      for await (const event of eventsOf(response.body)) {
        pause = 1000
        await take(name, event, stop.signal)
        if (stop.signal.aborted) return
      }
    } catch (e) {
      if (stop.signal.aborted) return
      problem(e instanceof TypeError ? 'The server cannot be reached; trying again.' : e.message)
    }
    await new Promise(done => setTimeout(done, pause))
  }
}

// eventsOf reads server-sent events: EventSource could not send the token.
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const pieces = (text + value).split('\n\n')
    text = pieces.pop()
    for (const piece of pieces) {
      const event = { type: 'message', data: '' }
      for (const line of piece.split('\n')) {
        if (line.startsWith('data: ')) event.data += line.slice(6)
        else if (line.startsWith('event: ')) event.type = line.slice(7)
      }
      if (event.data) yield event
    }
  }
}

async function take(name, event, signal) {
  const record = JSON.parse(event.data)
  if (event.type === 'state') {
    const { state, error } = record
    for (const b of $('inputs').children) if (b.dataset.name === name) b.firstChild.className = `dot ${state}`
    busy(state === 'waiting' ? `Waiting for ${name}…` : state === 'ended' ? `${name} has ended` : state === 'failed' ? `${name} failed` : '')
    $('wait').querySelector('.spinner').hidden = state !== 'waiting'
    problem(error)
    return
  }
  if (record.error) return problem(record.error)
  problem()
  if (record.jpeg) {
    const bytes = Uint8Array.from(atob(record.jpeg), c => c.charCodeAt(0))
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/jpeg' }))
    if (signal.aborted) return
    shown.bitmap?.close?.()
    shown.bitmap = bitmap
  }
  if (!shown.bitmap) return
  await show(record, record.heat)
  addTime(record.us)
}

// ---- The page ----

function choose(name) {
  for (const b of $('inputs').children) b.setAttribute('aria-pressed', String(b.dataset.name === name))
  $('choosers').hidden = name !== ''
}

function inputs(sources) {
  const nav = $('inputs')
  nav.hidden = sources.length === 0
  nav.replaceChildren(...[{ name: '', state: '' }, ...sources].map(({ name, state }) => {
    const b = document.createElement('button')
    b.type = 'button'
    b.dataset.name = name
    if (name) {
      const dot = document.createElement('span')
      dot.className = `dot ${state}`
      b.append(dot)
    }
    b.append(name || 'Photo')
    b.onclick = () => name ? watch(name) : photoAgain()
    return b
  }))
  choose('')
}

function photoAgain() {
  if (!source.name) return
  watchNothing()
  busy()
  problem()
  choose('')
  picture.hidden = true
  $('invite').hidden = false
  $('drop').classList.add('empty')
  say('Nothing looked at yet.')
  $('classes').replaceChildren()
}

for (const id of ['file', 'capture']) {
  $(id).onchange = e => { look(e.target.files[0]); e.target.value = '' }
}
$('heat').oninput = () => { $('heatvalue').value = `${$('heat').value} %`; draw() }
$('drop').classList.add('empty')
for (const type of ['dragenter', 'dragover']) addEventListener(type, e => { e.preventDefault(); $('drop').classList.add('over') })
addEventListener('dragleave', e => { if (!e.relatedTarget) $('drop').classList.remove('over') })
addEventListener('drop', e => { e.preventDefault(); $('drop').classList.remove('over'); look(e.dataTransfer.files[0]) })
addEventListener('paste', e => { const f = [...e.clipboardData.files].find(f => f.type.startsWith('image/')); if (f) { e.preventDefault(); look(f) } })
addEventListener('resize', () => { drawTimes(); draw() })
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawTimes())
// Nobody sees a hidden page: its stream ends, and begins again with the newest answer.
let resume = ''
document.addEventListener('visibilitychange', () => {
  if (document.hidden) { resume = source.name; watchNothing() }
  else if (resume) watch(resume)
})
$('lock').hidden = !token
$('lock').onclick = () => { sessionStorage.removeItem('token'); location.reload() }

try {
  const model = await answerOf(await ask('/v1/model'))
  $('model').textContent = `${model.model}, ${model.precision}, ${model.classes} classes, ${model.input.join('×')} pixels`
  inputs((await answerOf(await ask('/v1/sources'))).sources)
} catch (e) {
  problem(e.message)
}
document.body.dataset.ready = 'yes'

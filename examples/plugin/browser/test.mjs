// Drops a photo on the page in headless Chromium: node test.mjs rfga-edge.wasm photo.jpg [screenshot.png]
// Prints what the page says. CHROMIUM names the browser.
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { chromium } from 'playwright-core'

const [module, photo, screenshot] = process.argv.slice(2)
const here = name => new URL(name, import.meta.url)
const files = {
  '/': ['text/html', here('index.html')], '/worker.js': ['text/javascript', here('worker.js')], '/rfga-edge.wasm': ['application/wasm', module],
}
const server = createServer((request, response) => {
  const file = files[request.url]
  if (!file) return response.writeHead(404).end()
  response.writeHead(200, { 'Content-Type': file[0] }).end(readFileSync(file[1]))
})
await new Promise(done => server.listen(0, '127.0.0.1', done))

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage()
  page.on('pageerror', e => { throw e })
  await page.goto(`http://127.0.0.1:${server.address().port}/`)
  const says = pattern => page.waitForFunction(p => new RegExp(p).test(document.querySelector('output').value), pattern, { timeout: 120000 })
  await says('^Ready')
  await page.setInputFiles('input', { name: basename(photo), mimeType: 'image/jpeg', buffer: readFileSync(photo) })
  await says(' ms\\)$')
  if (screenshot) await page.screenshot({ path: screenshot })
  console.log(await page.locator('output').evaluate(o => o.value))
} finally {
  await browser.close()
  server.close()
}

// A page in a browser (Debian's Chromium, driven by nothing but the page itself): it logs in by the operations API and goes on by
// OAuth. The same page on an origin that is not listed reads nothing.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, password, run, user } from './report.mjs'

const { opgrant } = process.env
const work = mkdtempSync(join(tmpdir(), 'browser-'))
const started = []

// The page's own server: the page, and where it reports to.
let report
const files = { '/': ['text/html', '<!doctype html><title>page</title><script type="module" src="/page.mjs"></script>'] }
files['/page.mjs'] = ['text/javascript', readFileSync('browser-page.mjs')]
const pages = createServer((request, response) => {
  if (request.method === 'POST') {
    let body = ''
    request.on('data', (some) => { body += some })
    request.on('end', () => { response.end(); report(JSON.parse(body)) })
    return
  }
  const [type, text] = files[new URL(request.url, 'http://page').pathname] ?? []
  response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(text)
})
await new Promise((done) => { pages.listen(0, '127.0.0.1', done) })
const { port } = pages.address()
const listed = `http://127.0.0.1:${port}`
const unlisted = `http://localhost:${port}`

// The run may end it early.
process.on('exit', () => started.forEach((child) => child.kill()))
process.on('SIGTERM', () => process.exit(1))

function start(command, args, options) {
  const child = spawn(command, args, options)
  started.push(child)
  child.ended = new Promise((done) => { child.on('exit', done).on('error', done) })
  return child
}

// serve starts a server with the listed origin and returns its URL.
async function serve() {
  const config = join(work, 'opgrant.yaml')
  writeFileSync(config, `
compat: {origins: ["${listed}"]}
clients:
  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token, "urn:ietf:params:oauth:grant-type:token-exchange"], origins: ["${listed}"]}
  - {id: browser, grants: [password, refresh_token], origins: ["${listed}"]}
`)
  const server = start(opgrant, ['serve', '--dev', '--config', config, '--listen', '127.0.0.1:0', '--admin-listen', 'off', '--log-format', 'json'],
    { stdio: ['ignore', 'ignore', 'pipe'] })
  const log = []
  for await (const line of createInterface({ input: server.stderr })) {
    log.push(line)
    const { msg, issuer } = JSON.parse(line)
    if (msg !== 'ready') continue
    server.stderr.resume()
    return issuer
  }
  throw new Error(`the server did not start: ${log.join(' ')}`)
}

// open shows the page on an origin and returns what it reports.
async function open(origin, server) {
  const browser = start('chromium', [
    '--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
    `--user-data-dir=${mkdtempSync(join(work, 'profile-'))}`, ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    `${origin}/?${new URLSearchParams({ server, user, password })}`,
  ], { stdio: 'ignore' })
  const told = new Promise((done) => { report = done })
  const late = new Promise((_, fail) => { setTimeout(fail, 60_000, new Error(`no report from ${origin}`)).unref() })
  try {
    return await Promise.race([told, late, browser.ended.then(() => { throw new Error('the browser ended') })])
  } finally {
    browser.kill()
    await browser.ended
  }
}

const version = execFileSync('chromium', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim().split(' ')[1]
await run('browser', async (did) => {
  const server = await serve()
  const page = await open(listed, server)
  page.steps.forEach(did)
  expect('the page', page.error === undefined, page.error)
  expect('a list of what it did', page.steps.length > 5, String(page.steps))
  const other = await open(unlisted, server)
  expect('public documents', other.read.join() === 'metadata,keys', `another origin reads ${other.read}`)
  expect('attempts', other.failed.length === 7, `another origin fails to read ${other.failed}`)
  did(`another origin reads none of ${other.failed.length} answers`)
}, `(Chromium ${version})`)

started.forEach((child) => child.kill())
await Promise.all(started.map((child) => child.ended))
pages.closeAllConnections()
pages.close()
rmSync(work, { recursive: true, force: true, maxRetries: 5 })

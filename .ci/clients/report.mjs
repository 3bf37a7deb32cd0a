// What the Node clients share: their credentials, the line that each prints, and decoding of tokens without any client library.
import { readFileSync } from 'node:fs'

export const { url, service, user, password, client, secret } = process.env

export function expect(what, ok, detail = '') {
  if (!ok) throw new Error(`${what} ${detail}`.trim())
}

const installed = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version

export async function run(name, body, version = installed(name)) {
  const steps = []
  try {
    await body((step) => steps.push(step))
    console.log(`ok ${name} ${version}: ${steps.join(', ')}`)
  } catch (e) {
    console.log(`FAILED ${name} ${version}: after [${steps.join(', ')}]: ${String(e.cause ? `${e} ${e.cause}` : (e.stack ?? e)).replaceAll('\n', ' ')}`)
    process.exitCode = 1
  }
}

// introspect asks with fetch, for clients that cannot do so themselves.
export async function introspect(token) {
  const response = await fetch(`${url}/oauth2/introspect`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client}:${secret}`)}` },
    body: new URLSearchParams({ token }),
  })
  expect('introspection', response.status === 200, String(response.status))
  return response.json()
}

// me is where the example service says who a token speaks for.
export const me = `${service}/me`

// served checks its answer.
export async function served(response, subject) {
  const body = await response.json()
  expect('served', response.status === 200 && body.subject === subject, `${response.status} ${JSON.stringify(body)}`)
}

// use sends a token there with fetch, for clients that make no requests of their own.
export async function use(token, subject) {
  await served(await fetch(me, { headers: { authorization: `Bearer ${token}` } }), subject)
}

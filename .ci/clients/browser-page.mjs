// The script of the page. It tells its own server what it could do.
const { server, user, password } = Object.fromEntries(new URLSearchParams(location.search))

const operation = (body, token) => fetch(`${server}/`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
  body: JSON.stringify(body),
})
// A form without other headers is sent without a preflight.
const form = (path, fields, headers = {}) => fetch(server + path, { method: 'POST', headers, body: new URLSearchParams(fields) })
const login = { operation: 'create_authentication_tokens', username: user, password }

async function answer(response, status, code) {
  const body = await response.json()
  if (response.status !== status || body.error !== code) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(body)}`)
  return body
}

async function own(did) {
  const first = await answer(await operation(login), 200)
  did('create_authentication_tokens by the operations API')
  const who = async (token) => {
    const { username } = await answer(await operation({ operation: 'user_info' }, token), 200)
    if (username !== user) throw new Error(`user_info says ${username}`)
  }
  await who(first.operation_token)
  did('user_info')

  const second = await answer(await operation({ operation: login.operation }, first.operation_token), 200)
  did('its token exchanged for a new pair')
  await answer(await form('/oauth2/token', {
    client_id: 'browser', grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: first.operation_token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }), 400, 'unauthorized_client')
  did('refused to exchange as a public client at the OAuth endpoint')
  const moved = await answer(await form('/oauth2/token', { client_id: 'operations', grant_type: 'refresh_token', refresh_token: second.refresh_token }), 200)
  await who(moved.access_token)
  did('that pair refreshed by OAuth, and used')

  await answer(await form('/oauth2/token', { client_id: 'browser', grant_type: 'password', username: user, password: 'wrong' }), 400, 'invalid_grant')
  did('a wrong password')
  let tokens = await answer(await form('/oauth2/token', { client_id: 'browser', grant_type: 'password', username: user, password }), 200)
  did('password by OAuth')
  // The second time with a header for which the browser asks first.
  for (const [fields, headers] of [[{ client_id: 'browser' }, {}], [{}, { authorization: `Basic ${btoa('browser:')}` }]]) {
    const next = await answer(await form('/oauth2/token', { ...fields, grant_type: 'refresh_token', refresh_token: tokens.refresh_token }, headers), 200)
    if (next.refresh_token === tokens.refresh_token) throw new Error('the refresh token was not rotated')
    tokens = next
  }
  did('refresh twice, with a preflight and without')
  await answer(await form('/oauth2/revoke', { client_id: 'browser', token: tokens.refresh_token }), 200)
  await answer(await form('/oauth2/token', { client_id: 'browser', grant_type: 'refresh_token', refresh_token: tokens.refresh_token }), 400, 'invalid_grant')
  did('revocation')
}

// What a page of another origin can read.
async function foreign() {
  const attempts = {
    operation: () => operation(login),
    'operation without credentials': () => fetch(`${server}/`, { method: 'POST', body: '{}' }),
    tokens: () => form('/oauth2/token', { client_id: 'browser', grant_type: 'password', username: user, password }),
    error: () => form('/oauth2/token', { client_id: 'browser', grant_type: 'password', username: user, password: 'wrong' }),
    'tokens with a header': () => form('/oauth2/token', { grant_type: 'password', username: user, password }, { authorization: `Basic ${btoa('browser:')}` }),
    revocation: () => form('/oauth2/revoke', { client_id: 'browser', token: 'x' }),
    introspection: () => form('/oauth2/introspect', { client_id: 'browser', token: 'x' }),
    metadata: () => fetch(`${server}/.well-known/oauth-authorization-server`),
    keys: () => fetch(`${server}/.well-known/jwks.json`, { headers: { 'x-page': '1' } }),
  }
  const read = []
  const failed = []
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      await (await attempt()).text()
      read.push(name)
    } catch {
      failed.push(name)
    }
  }
  return { read, failed }
}

const steps = []
let told
if (location.hostname === 'localhost') {
  told = await foreign()
} else {
  told = { steps }
  try {
    await own((step) => steps.push(step))
  } catch (e) {
    told.error = String(e)
  }
}
await fetch('/report', { method: 'POST', body: JSON.stringify(told) })

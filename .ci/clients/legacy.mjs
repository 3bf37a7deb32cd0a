// Clients of the operations API for Node: tokens created, used and refreshed by the operations API.
import { createRequire } from 'node:module'
import { expect, introspect, password, run, url, use, user } from './report.mjs'

process.removeAllListeners('warning') // their dependencies are as old as they are
process.noDeprecation = true
const require = createRequire(import.meta.url)

await run('harperive', async (did) => {
  const { Client } = require('harperive')
  const basic = new Client({ harperHost: url, username: user, password })
  const { data: tokens } = await basic.createAuthenticationTokens({ username: user, password })
  did('create_authentication_tokens')
  const bearer = new Client({ harperHost: url, token: tokens.operation_token })
  expect('user', (await bearer.userInfo()).data.username === user)
  did('user_info with the operation token')
  for (let i = 0; i < 2; i++) {
    const { data } = await new Client({ harperHost: url }).refreshOperationToken({ token: tokens.refresh_token })
    expect('new token', data.operation_token && data.operation_token !== tokens.operation_token)
    const renewed = new Client({ harperHost: url, token: data.operation_token })
    expect('user', (await renewed.userInfo()).data.username === user)
  }
  did('refresh_operation_token twice, each used')
  await use(tokens.operation_token, user)
  did('operation token at the example service')
})

await run('harperdb-connect', async (did) => {
  const { HarperDBConnect } = require('harperdb-connect')
  const db = await new HarperDBConnect(user, password, url)
  did('connect')
  db.setDefaultOptions({ method: 'POST', json: true })
  const tokens = await db.request({ operation: 'create_authentication_tokens', username: user, password })
  did('create_authentication_tokens')
  expect('active', (await introspect(tokens.operation_token)).active === true)
  const info = await db.request({
    method: 'POST', url, json: true, headers: { authorization: `Bearer ${tokens.operation_token}` }, body: { operation: 'user_info' },
  }, false)
  expect('user', info.username === user, JSON.stringify(info))
  did('user_info with the operation token')
  for (let i = 0; i < 2; i++) {
    const renewed = await db.request({
      method: 'POST', url, json: true, headers: { authorization: `Bearer ${tokens.refresh_token}` }, body: { operation: 'refresh_operation_token' },
    }, false)
    expect('active', (await introspect(renewed.operation_token)).active === true)
  }
  did('refresh_operation_token twice, each used')
})

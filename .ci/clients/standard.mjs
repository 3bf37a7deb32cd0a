// OAuth 2.0 clients for Node: each logs in, refreshes twice, has its token looked at, and revokes it where it can.
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import ClientOAuth2 from 'client-oauth2'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import simple from 'simple-oauth2'
import { client, expect, introspect, me, password, run, secret, served, url, use, user } from './report.mjs'

for (const [how, auth] of [['post', openid.ClientSecretPost], ['basic', openid.ClientSecretBasic]]) {
  await run('openid-client', async (did) => {
    const config = await openid.discovery(new URL(url), client, undefined, auth(secret), {
      algorithm: 'oauth2',
      execute: [openid.allowInsecureRequests],
    })
    did(`discovery, client_secret_${how}`)
    let token = await openid.genericGrantRequest(config, 'password', { username: user, password })
    did('password')
    for (let i = 0; i < 2; i++) {
      const next = await openid.refreshTokenGrant(config, token.refresh_token)
      expect('a new pair', next.access_token !== token.access_token && next.refresh_token !== token.refresh_token)
      token = next
    }
    did('refresh twice')
    const seen = await openid.tokenIntrospection(config, token.access_token)
    expect('active', seen.active === true && seen.sub === user, JSON.stringify(seen))
    did('introspection')
    await served(await openid.fetchProtectedResource(config, token.access_token, new URL(me), 'GET'), user)
    did('token in use')
    await openid.tokenRevocation(config, token.refresh_token)
    expect('inactive', (await openid.tokenIntrospection(config, token.access_token)).active === false)
    did('revocation')
    const machine = await openid.clientCredentialsGrant(config)
    expect('machine token', (await openid.tokenIntrospection(config, machine.access_token)).client_id === client)
    did('client_credentials')
  })
}

await run('oauth4webapi', async (did) => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(url)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }))
  did('discovery')
  const self = { client_id: client }
  const auth = oauth.ClientSecretBasic(secret)
  let token = await oauth.processGenericTokenEndpointResponse(as, self,
    await oauth.genericTokenEndpointRequest(as, self, auth, 'password', { username: user, password }, insecure))
  did('password')
  for (let i = 0; i < 2; i++) {
    token = await oauth.processRefreshTokenResponse(as, self, await oauth.refreshTokenGrantRequest(as, self, auth, token.refresh_token, insecure))
  }
  did('refresh twice')
  const request = new Request('http://resource.example', { headers: { authorization: `Bearer ${token.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(as, request, url, insecure)
  expect('subject', claims.sub === user, JSON.stringify(claims))
  did('RFC 9068 validation by JWKS')
  const look = async () => oauth.processIntrospectionResponse(as, self, await oauth.introspectionRequest(as, self, auth, token.access_token, insecure))
  expect('active', (await look()).active === true)
  did('introspection')
  await served(await oauth.protectedResourceRequest(token.access_token, 'GET', new URL(me), undefined, undefined, insecure), user)
  did('token in use')
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, self, auth, token.refresh_token, insecure))
  expect('inactive', (await look()).active === false)
  did('revocation')
})

await run('simple-oauth2', async (did) => {
  const config = {
    client: { id: client, secret },
    auth: { tokenHost: url, tokenPath: '/oauth2/token', refreshPath: '/oauth2/token', revokePath: '/oauth2/revoke' },
  }
  let token = await new simple.ResourceOwnerPassword(config).getToken({ username: user, password })
  did('password')
  token = await (await token.refresh()).refresh()
  did('refresh twice')
  await use(token.token.access_token, user)
  did('token in use')
  await token.revokeAll()
  expect('inactive', (await introspect(token.token.access_token)).active === false)
  did('revocation of both')
  const machine = await new simple.ClientCredentials(config).getToken({})
  expect('machine token', (await introspect(machine.token.access_token)).sub === client)
  did('client_credentials')
})

await run('client-oauth2', async (did) => {
  const config = new ClientOAuth2({ clientId: client, clientSecret: secret, accessTokenUri: `${url}/oauth2/token`, scopes: [] })
  let token = await config.owner.getToken(user, password)
  did('password')
  token = await (await token.refresh()).refresh()
  did('refresh twice')
  const signed = token.sign({ method: 'GET', url: me })
  await served(await fetch(signed.url, signed), user)
  did('token in use')
  const machine = await config.credentials.getToken()
  expect('machine token', (await introspect(machine.accessToken)).sub === client)
  did('client_credentials')
})

await run('@badgateway/oauth2-client', async (did) => {
  const discovering = new OAuth2Client({ server: `${url}/`, clientId: client, clientSecret: secret, discoveryEndpoint: '/.well-known/oauth-authorization-server' })
  let token = await discovering.password({ username: user, password })
  did('discovery, password')
  for (let i = 0; i < 2; i++) token = await discovering.refreshToken(token)
  did('refresh twice')
  expect('active', (await discovering.introspect({ accessToken: token.accessToken })).active === true)
  did('introspection')
  const wrapper = new OAuth2Fetch({ client: discovering, getNewToken: () => token, scheduleRefresh: false })
  await served(await wrapper.fetch(me), user)
  did('token in use')
  await discovering.revoke(token, 'refresh_token')
  expect('inactive', (await discovering.introspect({ accessToken: token.accessToken })).active === false)
  did('revocation')
  const machine = await discovering.clientCredentials()
  expect('machine token', (await discovering.introspect(machine)).sub === client)
  did('client_credentials')
})

await run('jose', async (did) => {
  const keys = jose.createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`))
  const post = async (body) => {
    const response = await fetch(`${url}/oauth2/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${client}:${secret}`)}` },
      body: new URLSearchParams(body),
    })
    expect('token', response.status === 200, String(response.status))
    return response.json()
  }
  let token = await post({ grant_type: 'password', username: user, password })
  for (let i = 0; i < 3; i++) {
    const { payload } = await jose.jwtVerify(token.access_token, keys, {
      issuer: url, audience: url, typ: 'at+jwt', subject: user, requiredClaims: ['client_id', 'jti', 'iat', 'exp'],
    })
    expect('validity', payload.exp - payload.iat > 0)
    token = await post({ grant_type: 'refresh_token', refresh_token: token.refresh_token })
  }
  did('verified by JWKS after password and after each of two refreshes')
  const legacy = await (await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ operation: 'create_authentication_tokens', username: user, password }),
  })).json()
  const { payload } = await jose.jwtVerify(legacy.operation_token, keys, { typ: 'JWT', subject: 'operation' })
  expect('user', payload.username === user)
  did('operation token verified by JWKS')
})

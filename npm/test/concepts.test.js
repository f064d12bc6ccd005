'use strict'

// Part A of the manual: versions, key agreement, names, protocols, sessions.

const { randomBytes } = require('node:crypto')
const constants = require('node:crypto').constants
const net = require('node:net')
const { assert, connected, echo, inPairings, limited, nodetls, once, refused, serve, tls, withClient, secure, VERSIONS } = require('./world')
const { certificate, ca } = require('./fixtures')

const only = (version) => ({ minVersion: version, maxVersion: version })

inPairings('A01 TLS 1.2 and 1.3 are spoken, the higher one by default', async (S, C) => {
  for (const version of VERSIONS) {
    await connected(S, C, { server: only(version) }, async (client, server) => {
      assert.strictEqual(client.getProtocol(), version)
      assert.strictEqual(server.getProtocol(), version)
    })
  }
  await connected(S, C, {}, async (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.3'))
})

inPairings('A02 TLS 1.0 and 1.1 work where both sides ask for them', async (S, C) => {
  const ciphers = 'DEFAULT:@SECLEVEL=0'
  for (const version of ['TLSv1', 'TLSv1.1']) {
    const old = { minVersion: version, ciphers }
    await connected(S, C, { server: old, client: { ...old, maxVersion: version } }, async (client) => {
      assert.strictEqual(client.getProtocol(), version)
    })
    const { client } = await refused(S, C, { client: { ...old, maxVersion: version } })
    assert.strictEqual(client.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  }
})

inPairings('A03 elliptic curves agree on keys', (S, C) => connected(S, C, { client: { ecdhCurve: 'prime256v1' } }, async (client, server) => {
  assert.deepStrictEqual(client.getEphemeralKeyInfo(), { type: 'ECDH', name: 'prime256v1', size: 256 })
  assert.strictEqual(server.getEphemeralKeyInfo(), null)
}))

inPairings('A04 finite fields agree on keys where the server has parameters', (S, C) => connected(S, C, {
  server: { dhparam: 'auto', ...certificate({ key: 'rsa' }), maxVersion: 'TLSv1.2' },
  client: { ciphers: 'DHE-RSA-AES128-GCM-SHA256' }
}, async (client) => {
  const { type, size } = client.getEphemeralKeyInfo()
  assert.strictEqual(type, 'DH')
  assert.ok(size >= 2048)
}))

inPairings('A05 a protocol is agreed on (ALPN)', (S, C) => connected(S, C, {
  server: { ALPNProtocols: ['b', 'a'] }, client: { ALPNProtocols: ['a', 'b'] }
}, async (client, server) => {
  assert.deepStrictEqual([client.alpnProtocol, server.alpnProtocol], ['b', 'b'])
}))

inPairings('A06 a name chooses the certificate (SNI)', (S, C) => serve(S, {}, async (port, server) => {
  server.addContext('other.test', certificate({ cn: 'other.test' }))
  await withClient(C, { port, servername: 'other.test' }, async (socket) => {
    await secure(socket)
    assert.strictEqual(socket.getPeerCertificate().subject.CN, 'other.test')
  })
}))

inPairings('A07 A08 E11 G11 G13 a pre-shared key takes the place of certificates', async (S, C) => {
  for (const version of VERSIONS) await byKey(S, C, version)
})

async function byKey (S, C, version) {
  const key = randomBytes(32)
  const ciphers = version === 'TLSv1.2' ? 'PSK' : undefined
  const seen = []
  await serve(S, {
    ...only(version),
    cert: undefined,
    key: undefined,
    ciphers,
    pskIdentityHint: 'try me',
    pskCallback (socket, identity) { seen.push(identity); return identity === 'me' ? key : null }
  }, (port) => withClient(C, {
    port,
    ...only(version),
    ciphers,
    checkServerIdentity: () => undefined,
    pskCallback (hint) { seen.push(hint); return { psk: key, identity: 'me' } }
  }, async (client) => {
    await secure(client)
    assert.ok(client.authorized)
    assert.strictEqual(await echo(client, 'hello'), 'hello')
  }))
  assert.ok(seen.includes('me'))
  assert.ok(seen.includes(version === 'TLSv1.2' ? 'try me' : null))
}

inPairings('G12 no key: the client hears unknown_psk_identity', async (S, C) => {
  const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2' }
  const { client, server } = await refused(S, C, {
    server: { ...options, cert: undefined, key: undefined, pskCallback: () => null },
    client: { ...options, checkServerIdentity: () => undefined, pskCallback: () => ({ psk: randomBytes(16), identity: 'x' }) }
  })
  assert.strictEqual(client.code, 'ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY')
  assert.strictEqual(server.code, 'ERR_SSL_PSK_IDENTITY_NOT_FOUND')
})

inPairings('A09 D45 a client renegotiates', (S, C) => connected(S, C, { server: { maxVersion: 'TLSv1.2' } }, async (client, server) => {
  server.pipe(server)
  await new Promise((resolve, reject) => client.renegotiate({}, (error) => error ? reject(error) : resolve()))
  assert.strictEqual(await echo(client, 'still here'), 'still here')
}))

for (const version of VERSIONS) {
  inPairings(`A13 A14 C11 C17 D35 D38 D39 E15 a session is resumed, ${version}`, (S, C) => serve(S, only(version), async (port) => {
    let session
    const sessions = []
    await withClient(C, { port }, async (client) => {
      client.on('session', (given) => sessions.push(given))
      await secure(client)
      assert.strictEqual(client.isSessionReused(), false)
      await echo(client, 'x')
      session = sessions.at(-1)
      assert.ok(Buffer.isBuffer(session) && Buffer.isBuffer(client.getSession()))
      if (version === 'TLSv1.2') assert.ok(client.getTLSTicket().length > 0)
      else assert.ok(sessions.length >= 2, 'TLS 1.3 brings several')
    })
    await withClient(C, { port, session }, async (client) => {
      await secure(client)
      assert.strictEqual(client.isSessionReused(), true)
      assert.ok(client.authorized)
    })
  }))
}

inPairings('A12 B03 B07 sessions are found by their ids', async (S, C) => {
  const store = new Map()
  const events = []
  const options = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET }
  await serve(S, options, async (port, server) => {
    server.on('newSession', (id, data, done) => { events.push('new'); store.set(id.toString('hex'), data); setImmediate(done) })
    server.on('resumeSession', (id, done) => { events.push('resume'); setImmediate(done, null, store.get(id.toString('hex')) ?? null) })
    let session
    await withClient(C, { port }, async (client) => {
      await secure(client)
      await echo(client, 'x')
      session = client.getSession()
    })
    await withClient(C, { port, session }, async (client) => {
      await secure(client)
      assert.ok(client.isSessionReused())
    })
  })
  // A client that could also speak TLS 1.3 names an id in its first hello too, which nobody knows.
  assert.ok(events.lastIndexOf('resume') > events.indexOf('new') && events.includes('new'))
})

inPairings('A16 B18 B19 G10 servers that share ticket keys resume each other\'s sessions', async (S, C) => {
  const ticketKeys = randomBytes(48)
  const sessionIdContext = 'a fleet'
  let session
  for (const reused of [false, true]) {
    await serve(S, { ticketKeys, sessionIdContext }, async (port, server) => {
      assert.deepStrictEqual(server.getTicketKeys(), ticketKeys)
      await withClient(C, { port, session }, async (client) => {
        client.on('session', (given) => { session = given })
        await secure(client)
        await echo(client, 'x')
        assert.strictEqual(client.isSessionReused(), reused)
      })
      for (const [keys, works] of [[randomBytes(48), false], [ticketKeys, true]]) {
        server.setTicketKeys(keys)
        assert.deepStrictEqual(server.getTicketKeys(), keys)
        await withClient(C, { port, session }, async (client) => {
          await secure(client)
          assert.strictEqual(client.isSessionReused(), works)
        })
      }
      assert.throws(() => server.setTicketKeys(Buffer.alloc(3)))
    })
  }
})

inPairings('A19 G07 a session has its time', (S, C) => serve(S, { sessionTimeout: 1, ...only('TLSv1.2') }, async (port) => {
  let session
  await withClient(C, { port }, async (client) => {
    await secure(client)
    await echo(client, 'x')
    session = client.getSession()
  })
  await new Promise((resolve) => setTimeout(resolve, 2100))
  await withClient(C, { port, session }, async (client) => {
    await secure(client)
    assert.strictEqual(client.isSessionReused(), false)
  })
}))

inPairings('A22 A23 F09 cipher suites are chosen by OpenSSL\'s list, those of TLS 1.3 by name', async (S, C) => {
  const suites = [['ECDHE-ECDSA-AES256-GCM-SHA384', 'TLSv1.2'], ['TLS_CHACHA20_POLY1305_SHA256', 'TLSv1.3']]
  for (const [ciphers, version] of suites) {
    await connected(S, C, { client: { ciphers, ...only(version) } }, async (client) => {
      assert.strictEqual(client.getCipher().name, ciphers)
    })
  }
})

inPairings('A24 CCM suites of TLS 1.3 work where they are named', (S, C) => {
  const ciphers = 'TLS_AES_128_CCM_SHA256'
  return connected(S, C, { server: { ciphers }, client: { ciphers } }, async (client) => assert.strictEqual(client.getCipher().name, ciphers))
})

inPairings('A18 F23 tickets are switched off by an option of OpenSSL', (S, C) => connected(S, C, {
  server: { secureOptions: constants.SSL_OP_NO_TICKET, maxVersion: 'TLSv1.2' }
}, async (client) => assert.strictEqual(client.getTLSTicket(), undefined)))

inPairings('A10 A11 a client that renegotiates too often is cut off', (S, C) => serve(S, { maxVersion: 'TLSv1.2' }, (port, server) => withClient(C, { port }, async (client) => {
  const attack = S === nodetls ? once(server, 'secureConnection').then(([socket]) => once(socket, 'error')) : null
  client.on('error', () => {})
  await secure(client)
  const renegotiate = () => new Promise((resolve) => {
    client.once('close', () => resolve(false))
    client.renegotiate({}, (error) => resolve(!error))
  })
  let count = 0
  while (count < 3 && await renegotiate()) count++
  assert.strictEqual(count, 3)
  if (attack === null) return
  renegotiate()
  const [error] = await attack
  assert.strictEqual(error.code, 'ERR_TLS_SESSION_ATTACK')
}), (socket) => socket.resume()))

inPairings('A15 a session can be saved and used by another connection that trusts the same', (S, C) => serve(S, {}, async (port) => {
  let session
  await withClient(C, { port }, async (client) => {
    client.on('session', (given) => { session = Buffer.from(given.toString('base64'), 'base64') })
    await secure(client)
    await echo(client, 'x')
  })
  await withClient(C, { port, session, ca: Buffer.from(ca().cert) }, async (client) => {
    await secure(client)
    assert.ok(client.isSessionReused())
  })
}))

limited('a server that leaves while a key is asked for is what the client hears of', async () => {
  const rude = net.createServer((socket) => socket.on('error', () => {}).destroy())
  rude.listen(0, '127.0.0.1')
  await once(rude, 'listening')
  for (let count = 0; count < 20; count++) {
    const client = nodetls.connect({
      port: rude.address().port,
      host: '127.0.0.1',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      checkServerIdentity () {},
      pskCallback: () => ({ psk: Buffer.alloc(16, 1), identity: 'x' })
    })
    const [error] = await once(client, 'error')
    assert.strictEqual(error.code, 'ECONNRESET')
  }
  rude.close()
})

limited('options of pre-shared keys that are null are none', () => connected(nodetls, tls, {
  server: { pskIdentityHint: null, sessionIdContext: null },
  client: { maxVersion: 'TLSv1.2' }
}, async (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.2')))

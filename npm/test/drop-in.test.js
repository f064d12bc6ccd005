'use strict'

// What programs rely on beyond the manual: each of these was found by a program that runs on node:tls.

const { X509Certificate } = require('node:crypto')
const { spawnSync } = require('node:child_process')
const http2 = require('../lib/http2')
const https = require('../lib/https')
const net = require('node:net')
const path = require('node:path')
const { duplexPair, PassThrough } = require('node:stream')
const { setImmediate: turn } = require('node:timers/promises')
const { promisify } = require('node:util')

const { ca, certificate } = require('./fixtures')
const { assert, connected, echo, inPairings, limited, nodetls, once, secure, serve, serverOptions, tls, withClient, withClients } = require('./world')

/** The module with something in the place of one of its functions, for the time of `use`. */
async function replaced (name, make, use) {
  const own = nodetls[name]
  nodetls[name] = make(own)
  try {
    return await use()
  } finally {
    nodetls[name] = own
  }
}

// ---- options ----

inPairings('a session that is false, null or empty text is none', async (S, C) => {
  for (const session of [false, null, undefined, '']) {
    await connected(S, C, { client: { session } }, async (client) => assert.equal(client.isSessionReused(), false))
  }
})

limited('what a program puts in the place of createSecureContext makes all contexts', async () => {
  const seen = []
  const counting = (own) => (options) => {
    seen.push(options)
    return own(options)
  }
  await replaced('createSecureContext', counting, async () => {
    const server = nodetls.createServer(serverOptions())
    assert.equal(seen.length, 1)
    server.addContext('a.test', serverOptions())
    assert.equal(seen.length, 2)
    nodetls.connect({ port: 1 }).on('error', () => {}).destroy()
    assert.equal(seen[2].ciphers, nodetls.DEFAULT_CIPHERS)
    new nodetls.TLSSocket(new PassThrough(), { isServer: true, ...serverOptions() }).destroy()
    assert.equal(seen.length, 4)
  })
})

limited('what a program puts in the place of connect makes the connections of https and http2', async () => {
  const seen = []
  const counting = (own) => (...words) => {
    seen.push(words[0].servername)
    return own(...words)
  }
  await replaced('connect', counting, async () => {
    https.get({ port: 1, host: '127.0.0.1', servername: 'a.test', agent: false }).on('error', () => {}).destroy()
    http2.connect('https://127.0.0.1:1', { servername: 'b.test' }).on('error', () => {}).destroy()
    await turn()
  })
  assert.deepEqual(seen, ['a.test', 'b.test'])
})

inPairings('a suite of TLS 1.3 can be excluded by name', (S, C) => {
  const ciphers = 'TLS_AES_256_GCM_SHA384:!TLS_CHACHA20_POLY1305_SHA256'
  return connected(S, C, { server: { ciphers } }, async (client) => assert.equal(client.getCipher().name, 'TLS_AES_256_GCM_SHA384'))
})

limited('checkServerIdentity accepts by whatever is falsy, and has to be a function where it is given', async () => {
  for (const verdict of [undefined, null, false, 0, '']) {
    await serve(nodetls, {}, (port) => withClient(nodetls, { port, servername: 'other.test', checkServerIdentity: () => verdict }, async (client) => {
      await secure(client)
      assert.deepEqual([client.authorized, client.authorizationError], [true, null])
    }))
  }
  for (const checkServerIdentity of [undefined, null, 1, true]) {
    assert.throws(() => nodetls.connect({ port: 1, checkServerIdentity }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

// ---- certificates ----

inPairings('a certificate of the peer leads to its issuers, up to the root that the server trusts', (S, C) => {
  const server = { ...certificate(), ca: ca().cert }
  return connected(S, C, { server, client: { ca: [], rejectUnauthorized: false } }, async (client) => {
    assert.equal(client.authorizationError, 'SELF_SIGNED_CERT_IN_CHAIN')
    // First, because in Node.js the other question takes the chain away.
    const { issuerCertificate } = client.getPeerCertificate(true)
    const own = client.getPeerX509Certificate()
    assert.ok(own.issuerCertificate instanceof X509Certificate)
    assert.equal(own.issuerCertificate.fingerprint256, new X509Certificate(ca().cert).fingerprint256)
    assert.equal(own.issuerCertificate.issuerCertificate, undefined)
    assert.equal(issuerCertificate.fingerprint256, own.issuerCertificate.fingerprint256)
  })
})

limited('authorities that cannot be read are not left out in silence', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nno certificate\n-----END CERTIFICATE-----'
  for (const list of [[ca().cert.toString(), broken], [broken], [`${ca().cert}\n${broken}`]]) {
    const before = nodetls.getCACertificates()
    assert.throws(() => nodetls.setDefaultCACertificates(list), { code: 'ERR_OSSL_PEM_ASN1_LIB', message: 'error:0488000D:PEM routines::ASN1 lib' })
    assert.equal(nodetls.getCACertificates(), before)
  }
})

limited('more authorities that are not there are warned of in the words of node:tls', () => {
  const warning = (name) => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: '/no/such/file' }
    const { stderr } = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(name)}).createServer({})`], { encoding: 'utf8', env })
    return [...new Set(stderr.match(/Ignoring extra certs.*/g))]
  }
  assert.equal(warning('tls').length, 1)
  assert.deepEqual(warning(path.join(__dirname, '..')), warning('tls'))
})

// ---- sockets ----

limited('a failed handshake is told once by a socket without a server', async () => {
  for (const module of [nodetls, tls]) {
    const [raw, other] = duplexPair()
    const socket = new module.TLSSocket(raw, { isServer: true, secureContext: module.createSecureContext(serverOptions()) })
    let told = 0
    socket.on('_tlsError', () => told++)
    other.on('error', () => {}).resume().write(Buffer.alloc(1024, 42))
    await new Promise((resolve) => socket.on('close', resolve))
    assert.equal(told, 1)
  }
})

inPairings('secureConnect comes again after a renegotiation', (S, C) => serve(S, {}, (port) => withClient(C, { port, maxVersion: 'TLSv1.2' }, async (client) => {
  await secure(client)
  const again = Promise.all([once(client, 'secure'), once(client, 'secureConnect')])
  await new Promise((resolve, reject) => client.renegotiate({}, (error) => error ? reject(error) : resolve()))
  await again
  assert.equal(await echo(client, 'still here'), 'still here')
})))

inPairings('a buffer for each read is asked for as soon as the one before is full', (S, C) => serve(S, {}, async (port) => {
  let asked = 0
  let text = ''
  const onread = {
    buffer: () => Buffer.alloc(2, asked++),
    callback: (length, buffer) => { text += buffer.toString('latin1', 0, length) }
  }
  await withClient(C, { port, onread }, async (client) => {
    client.on('data', () => assert.fail('the program reads by itself')).resume()
    await once(client, 'end')
  })
  assert.equal(text, 'hello world')
  assert.equal(asked, 7)
}, (socket) => socket.end('hello world')))

inPairings('what is no way of reading is not used as one', async (S, C) => {
  // Nothing fits into an empty buffer, of which Node.js makes an error of the system.
  const empty = C === nodetls ? [{ buffer: Buffer.alloc(0), callback () {} }] : []
  for (const onread of [{}, { buffer: Buffer.alloc(8) }, { callback () {} }, { buffer: 'x', callback () {} }, ...empty]) {
    await serve(S, {}, (port) => withClient(C, { port, onread }, async (client) => {
      await secure(client)
      assert.equal(await echo(client, 'data'), 'data')
    }))
  }
})

withClients('a socket that was accepted paused still learns that its peer has ended', async (C) => {
  let paused
  await serve(nodetls, { pauseOnConnect: true, allowHalfOpen: true }, (port) => withClient(C, { port }, async (client) => {
    await secure(client)
    client.resume().end()
    await once(client, 'close')
  }), (socket) => {
    paused = socket.isPaused()
    socket.on('end', socket.end)
  })
  assert.equal(paused, true)
})

withClients('the name is known to whoever hears that the choice of a context has failed', async (C) => {
  const failures = [(name, done) => done(new Error('no')), (name, done) => done(null, {}), async () => { throw new Error('no') }]
  for (const SNICallback of failures) {
    await serve(nodetls, { SNICallback }, (port, server) => withClient(C, { port, servername: 'c.another.com' }, async (client) => {
      client.on('error', () => {})
      const [, socket] = await once(server, 'tlsClientError')
      assert.equal(socket.servername, 'c.another.com')
    }))
  }
})

limited('whoever hears that the stream below has closed finds the socket destroyed', async () => {
  let accepted
  const listening = nodetls.createServer(serverOptions(), (socket) => { accepted = socket })
  const raw = net.createServer((stream) => {
    listening.emit('connection', stream)
    stream.on('close', () => raw.emit('told', accepted.destroyed))
    listening.once('secureConnection', (socket) => socket.on('data', () => stream.destroy()))
  }).listen(0, '127.0.0.1')
  await once(raw, 'listening')
  await withClient(nodetls, { port: raw.address().port }, async (client) => {
    client.on('error', () => {}).write('.')
    assert.deepEqual(await once(raw, 'told'), [true])
  })
  raw.close()
})

/** The pieces that a peer gets of what `send` writes, until there are as many bytes. */
function pieces (S, C, length, send) {
  return connected(S, C, {}, async (client, socket) => {
    const seen = []
    const all = new Promise((resolve) => socket.on('data', (chunk) => {
      seen.push(String(chunk))
      if (seen.join('').length === length) resolve(seen)
    }))
    send(client)
    return all
  })
}

inPairings('what is written by itself arrives by itself, and in one piece what is corked or follows at once', async (S, C) => {
  const words = ['one', 'and', 'another', 'and a third']
  const all = words.join('')
  const burst = (client) => {
    for (const word of words) client.write(word)
    assert.equal(client.bufferSize, all.length)
  }
  const corked = (client) => {
    client.cork()
    for (const word of words) client.write(word)
    client.uncork()
  }
  const oneByOne = async (client) => {
    for (const word of words) await new Promise((resolve) => client.write(word, resolve))
  }
  assert.deepEqual(await pieces(S, C, all.length, oneByOne), words)
  assert.deepEqual(await pieces(S, C, all.length, corked), [all])
  assert.deepEqual(await pieces(S, C, all.length, burst), [words[0], words.slice(1).join('')])
})

inPairings('more than a stream may hold is too much to go on at once', (S, C) => connected(S, C, {}, async (client, socket) => {
  socket.resume()
  assert.equal(client.write(Buffer.alloc(client.writableHighWaterMark)), false)
  await once(client, 'drain')
  assert.equal(client.writableLength, 0)
}))

limited('whoever writes whenever it can leaves the event loop to others after a mebibyte', () => connected(nodetls, nodetls, {}, async (client) => {
  const piece = Buffer.alloc(64 * 1024)
  let count = 0
  const write = () => {
    count++
    client.write(piece, (error) => { if (!error) write() })
  }
  write()
  await turn()
  assert.ok(count > 2 && count <= 17, String(count))
}))

inPairings('many small pieces and a large one keep their order when they are corked', async (S, C) => {
  const parts = [...Array.from({ length: 3000 }, (_, index) => `${index};`), 'x'.repeat(50000), 'the end']
  const send = (client) => {
    client.cork()
    parts.forEach((part) => client.write(part))
    client.uncork()
  }
  assert.ok((await pieces(S, C, parts.join('').length, send)).join('') === parts.join(''))
})

inPairings('what carries TLS in TLS has no data for its listeners', (S, C) => {
  const inner = S.createServer(serverOptions(), (socket) => socket.pipe(socket))
  const seen = []
  const listener = (socket) => {
    socket.on('data', (chunk) => seen.push(String(chunk)))
    socket.once('data', () => {
      inner.emit('connection', socket)
      socket.write('go on')
    })
  }
  return serve(S, {}, (port) => withClient(C, { port }, async (outer) => {
    outer.on('data', (chunk) => seen.push(String(chunk))).write('head')
    await once(outer, 'data')
    await withClient(C, { socket: outer }, async (client) => {
      await secure(client)
      assert.equal(await echo(client, 'within'), 'within')
    })
    assert.deepEqual(seen, ['head', 'go on'])
  }), listener)
})

inPairings('the sockets below tell of nothing but their closing, whichever side ends', async (S, C) => {
  for (const ends of ['client', 'server']) {
    const seen = []
    const watch = (socket, name) => {
      for (const event of ['prefinish', 'finish', 'end', 'error', 'close']) socket.on(event, () => seen.push(`${name} ${event}`))
      return socket
    }
    let closed
    const raw = net.createServer((stream) => {
      closed = once(stream, 'close')
      const socket = new S.TLSSocket(watch(stream, 'server'), { isServer: true, ...serverOptions() })
      socket.on('data', () => ends === 'server' && socket.end())
    }).listen(0, '127.0.0.1')
    await once(raw, 'listening')
    const below = watch(net.connect(raw.address().port, '127.0.0.1'), 'client')
    await once(below, 'connect')
    await withClient(C, { socket: below }, async (client) => {
      await secure(client)
      client.resume().write('x')
      if (ends === 'client') client.end()
      await once(client, 'close')
    })
    raw.close()
    await closed
    assert.deepEqual(seen.sort(), ['client close', 'server close'])
  }
})

inPairings('a connection can be freed before its socket', (S, C) => connected(S, C, {}, async (client, socket) => {
  client.on('error', () => {}).write('x'.repeat(1 << 20))
  await once(socket, 'data')
  socket._destroySSL()
  assert.equal(socket.ssl, null)
  socket._destroySSL()
  socket.destroy()
  await Promise.all([once(socket, 'close'), new Promise((resolve) => client.on('close', resolve))])
}))

// ---- http2 ----

limited('http2.connect can be promisified, and sends the name of the host where the option is empty', async () => {
  const server = http2.createSecureServer(serverOptions()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const arrived = once(server, 'session')
  const connect = promisify(http2.connect)
  const session = await connect(`https://localhost:${server.address().port}`, { ca: ca().cert, servername: '' })
  assert.deepEqual(session.originSet, [`https://localhost:${server.address().port}`])
  assert.equal((await arrived)[0].socket.servername, 'localhost')
  session.close()
  await promisify(server.close.bind(server))()
  await assert.rejects(connect('https://127.0.0.1:1', {}), { code: 'ECONNREFUSED' })
})

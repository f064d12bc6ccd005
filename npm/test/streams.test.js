'use strict'

// net.Socket's API on a TLSSocket: the same story in every pairing, as Node.js's own tells it.

const { createHash, randomBytes } = require('node:crypto')
const net = require('node:net')
const { Readable, PassThrough } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const { ca } = require('./fixtures')
const { assert, connected, echo, inPairings, limited, nodetls, once, secure, serve, tls, withClient } = require('./world')

inPairings('connecting, pending and readyState tell how far a connection is', (S, C) => serve(S, {}, (port) => withClient(C, { port }, async (client) => {
  const state = () => [client.connecting, client.pending, client.readyState, client.secureConnecting]
  assert.deepStrictEqual(state(), [true, true, 'opening', true])
  await once(client, 'connect')
  assert.deepStrictEqual(state(), [false, false, 'open', true])
  await once(client, 'secureConnect')
  assert.deepStrictEqual(state(), [false, false, 'open', false])
  client.end()
  assert.strictEqual(client.readyState, 'readOnly')
  client.resume()
  await once(client, 'close')
  assert.deepStrictEqual([client.readyState, client.destroyed, client.closed], ['closed', true, true])
})))

inPairings('bytesRead and bytesWritten count plaintext', (S, C) => connected(S, C, {}, async (client, server) => {
  server.pipe(server)
  await echo(client, 'x'.repeat(1000))
  assert.deepStrictEqual([client.bytesWritten, client.bytesRead], [1000, 1000])
  assert.deepStrictEqual([server.bytesWritten, server.bytesRead], [1000, 1000])
}))

/** The events of a connection in their order. */
function story (socket) {
  const told = []
  for (const name of ['lookup', 'connect', 'ready', 'secureConnect', 'end', 'finish', 'error', 'timeout']) socket.on(name, () => told.push(name))
  socket.on('close', (hadError) => told.push(`close ${hadError}`))
  return told
}

/** What both modules tell of the same. */
async function sameStory (act) {
  const stories = []
  for (const module of [tls, nodetls]) {
    await serve(nodetls, {}, (port) => withClient(module, { port, host: 'localhost' }, async (client) => {
      const told = story(client)
      const closed = new Promise((resolve) => client.once('close', resolve))
      await act(client)
      await closed
      stories.push(told)
    }), (socket) => socket.on('data', (data) => {
      if (String(data) === 'end') socket.end('bye')
      if (String(data) === 'reset') socket.resetAndDestroy()
    }))
  }
  assert.deepStrictEqual(stories[1], stories[0])
  return stories[0]
}

limited('the events of a connection come in Node.js\'s order, however it ends', async () => {
  const ends = {
    'the server ends it': async (client) => { await secure(client); client.write('end'); client.resume() },
    'the client ends it': async (client) => { await secure(client); client.resume(); client.end() },
    'the client destroys it': async (client) => { await secure(client); client.destroy() },
    'the client destroys it with an error': async (client) => { await secure(client); client.destroy(new Error('x')) },
    'the client destroys it when all is sent': async (client) => { await secure(client); client.write('x'); client.destroySoon() },
    'the server resets it': async (client) => { await secure(client); client.resume(); client.write('reset') },
    'the client destroys it before it is there': async (client) => { client.destroy() },
    'the client ends it before it is there': async (client) => { client.resume(); client.end('end') }
  }
  for (const [name, act] of Object.entries(ends)) {
    const told = await sameStory(act).catch((error) => { error.message = `${name}: ${error.message}`; throw error })
    assert.ok(told.at(-1).startsWith('close'), name)
  }
})

limited('a connection can be reset, where Node.js has no way', async () => {
  await connected(nodetls, nodetls, {}, async (client, server) => {
    const failed = once(server, 'error')
    client.resetAndDestroy()
    assert.strictEqual((await failed)[0].code, 'ECONNRESET')
  })
})

inPairings('much data comes through whole, however it is read', async (S, C) => {
  const data = randomBytes(3 << 20)
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex')
  const ways = {
    async iteration (client) {
      const chunks = []
      for await (const chunk of client) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    async pipeline (client) {
      const chunks = []
      await pipeline(client, new PassThrough(), async (source) => { for await (const chunk of source) chunks.push(chunk) })
      return Buffer.concat(chunks)
    },
    async reading (client) {
      const chunks = []
      client.on('readable', () => { for (let chunk; (chunk = client.read()) !== null;) chunks.push(chunk) })
      await once(client, 'end')
      return Buffer.concat(chunks)
    },
    async pausing (client) {
      const chunks = []
      client.on('data', (chunk) => {
        chunks.push(chunk)
        client.pause()
        setImmediate(() => client.resume())
      })
      await once(client, 'end')
      return Buffer.concat(chunks)
    }
  }
  for (const [name, read] of Object.entries(ways)) {
    await serve(S, {}, (port) => withClient(C, { port }, async (client) => {
      const received = read(client)
      await secure(client)
      for (let start = 0; start < data.length; start += 100000) client.write(data.subarray(start, start + 100000))
      client.end()
      assert.strictEqual(digest(await received), digest(data), name)
    }))
  }
})

inPairings('a writer is held up by a reader who does not read', (S, C) => connected(S, C, {}, async (client, server) => {
  server.pause()
  const piece = Buffer.alloc(1 << 20)
  let written = 0
  while (client.write(piece) && ++written < 64);
  assert.ok(written < 64 && client.writableLength >= client.writableHighWaterMark)
  let received = 0
  const drained = once(client, 'drain')
  server.on('data', (data) => { received += data.length }).resume()
  await drained
  client.end()
  await once(server, 'end')
  assert.strictEqual(received, client.bytesWritten)
}))

inPairings('what is corked goes out together, text in its encoding', (S, C) => connected(S, C, {}, async (client, server) => {
  client.cork()
  client.write('6869', 'hex')
  client.write(' there')
  process.nextTick(() => client.uncork())
  server.setEncoding('utf8')
  let text = ''
  while (text.length < 8) text += (await once(server, 'data'))[0]
  assert.strictEqual(text, 'hi there')
}))

inPairings('a socket that is piped from a stream ends with it', (S, C) => serve(S, {}, (port) => withClient(C, { port }, async (client) => {
  Readable.from(['a', 'b', 'c']).pipe(client)
  let text = ''
  for await (const chunk of client.setEncoding('latin1')) text += chunk
  assert.strictEqual(text, 'abc')
})))

inPairings('what is written before the connection is there is sent, and called back', (S, C) => serve(S, {}, (port) => withClient(C, { port }, async (client) => {
  const order = []
  client.on('secureConnect', () => order.push('secure'))
  client.write('early', () => order.push('written'))
  assert.strictEqual(String((await once(client, 'data'))[0]), 'early')
  assert.deepStrictEqual(order.sort(), ['secure', 'written'])
})))

limited('what is written to a closed socket is an error with Node.js\'s code', async () => {
  const codes = []
  for (const C of [tls, nodetls]) {
    await connected(tls, C, {}, async (client) => {
      client.on('error', () => {})
      client.destroy()
      const error = await new Promise((resolve) => client.write('x', resolve))
      const early = C.connect({ port: 1, host: '127.0.0.1' })
      early.on('error', () => {})
      const waiting = new Promise((resolve) => early.write('x', resolve))
      early.destroy()
      codes.push([error.code, (await waiting).code])
    })
  }
  assert.deepStrictEqual(codes[1], codes[0])
})

inPairings('a signal of abortion ends the connection', (S, C) => serve(S, {}, async (port) => {
  const controller = new AbortController()
  await withClient(C, { port, signal: controller.signal }, async (client) => {
    await secure(client)
    const failed = new Promise((resolve) => client.once('error', resolve))
    controller.abort()
    assert.strictEqual((await failed).name, 'AbortError')
    assert.ok(client.destroyed)
  })
}))

inPairings('setTimeout tells of silence, and of no silence while something happens', (S, C) => connected(S, C, {}, async (client, server) => {
  server.pipe(server)
  assert.strictEqual(client.setTimeout(50), client)
  const since = Date.now()
  await once(client, 'timeout')
  assert.ok(Date.now() - since >= 45)
  client.setTimeout(0)
  assert.strictEqual(await echo(client, 'still here'), 'still here')
}))

inPairings('settings of the connection below are passed on, and can be chained', (S, C) => connected(S, C, {}, async (client) => {
  for (const result of [client.setNoDelay(true), client.setKeepAlive(true, 1000), client.ref(), client.unref(), client.ref()]) {
    assert.strictEqual(result, client)
  }
}))

inPairings('the high-water mark is as asked for', (S, C) => serve(S, {}, (port) => withClient(C, { port, highWaterMark: 1234 }, async (client) => {
  assert.deepStrictEqual([client.readableHighWaterMark, client.writableHighWaterMark], C === tls ? [client.readableHighWaterMark, client.writableHighWaterMark] : [1234, 1234])
  await secure(client)
})))

limited('onread hands plaintext over in the program\'s own buffer', () => serve(nodetls, {}, async (port) => {
  const buffer = Buffer.alloc(4)
  let text = ''
  await withClient(nodetls, { port, onread: { buffer, callback: (length, filled) => { text += filled.toString('latin1', 0, length) } } }, async (client) => {
    await secure(client)
    client.write('ten letters')
    while (text.length < 11) await new Promise(setImmediate)
    assert.strictEqual(text, 'ten letters')
  })
}))

inPairings('addresses of both families are tried in turn', (S, C) => serve(S, {}, async (port) => {
  const lookup = (host, options, done) => done(null, [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }])
  await withClient(C, { port, host: 'both.test', lookup, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 250 }, async (client) => {
    await secure(client)
    assert.deepStrictEqual(client.autoSelectFamilyAttemptedAddresses, [`::1:${port}`, `127.0.0.1:${port}`])
  })
}))

// Node.js 20 itself does not survive this.
limited('an error of the socket below is one of the connection', async () => {
  await serve(nodetls, {}, async (port) => {
    const below = net.connect(port, '127.0.0.1')
    await withClient(nodetls, { socket: below, host: undefined }, async (client) => {
      await secure(client)
      const failed = new Promise((resolve) => client.once('error', resolve))
      below.destroy(new Error('from below'))
      assert.strictEqual((await failed).message, 'from below')
    })
  })
})

inPairings('whoever destroys the connection destroys the socket below', (S, C) => serve(S, {}, async (port) => {
  const below = net.connect(port, '127.0.0.1')
  await withClient(C, { socket: below, host: undefined }, secure)
  if (!below.closed) await once(below, 'close')
  assert.ok(below.destroyed)
}))

limited('a stream that ends without goodbye is told of where that is asked for', () => serve(nodetls, {}, async (port) => {
  for (const [rejectTruncated, expected] of [[true, 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING'], [false, undefined]]) {
    const server = net.createServer((near) => {
      const far = net.connect(port, '127.0.0.1')
      near.pipe(far)
      // One echo goes through, and then the line is cut.
      far.on('data', (data) => {
        near.write(data)
        if (data[0] === 23 && data.length < 60) near.end()
      })
      near.on('error', () => {})
      far.on('error', () => {})
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    await withClient(nodetls, { port: server.address().port, rejectTruncated, maxVersion: 'TLSv1.2' }, async (client) => {
      await secure(client)
      client.write('x')
      const failure = await new Promise((resolve) => client.once('error', resolve).once('close', () => resolve(undefined)).resume())
      assert.strictEqual(failure?.code, expected)
    })
    server.close()
  }
}))

limited('a single write of a hundred megabytes goes through', () => serve(nodetls, {}, (port) => withClient(nodetls, { port, ca: ca().cert }, async (client) => {
  const data = Buffer.alloc(100 << 20, 'nodetls')
  client.end(data)
  const hash = createHash('sha256')
  for await (const chunk of client) hash.update(chunk)
  assert.strictEqual(hash.digest('hex'), createHash('sha256').update(data).digest('hex'))
})), 60000)

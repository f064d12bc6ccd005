'use strict'

// The life of a TLSSocket and of what carries it: what happens when either is ended, destroyed or broken at any stage, told
// by this package as Node.js's own module tells it.

const { execFileSync } = require('node:child_process')
const net = require('node:net')
const { Duplex, finished } = require('node:stream')
const { ca, certificate } = require('./fixtures')
const { assert, inPairings, limited, nodetls, once, secure, serve, tls, withClient, withClients } = require('./world')

/** Two streams, each of which reads what is written to the other. */
function streams (options = {}) {
  class Half extends Duplex {
    _read () {
      this.resumed?.()
      this.resumed = null
    }

    _write (chunk, encoding, done) {
      if (this.other.destroyed || this.other.push(chunk)) setImmediate(done)
      else this.other.resumed = done
    }

    _final (done) {
      if (!this.other.destroyed) this.other.push(null)
      done()
    }
  }
  const halves = [new Half(options), new Half(options)]
  halves[0].other = halves[1]
  halves[1].other = halves[0]
  return halves
}

/** Writes down what a socket tells. */
function listen (socket, told) {
  for (const name of ['connect', 'ready', 'secureConnect', 'end', 'finish']) socket.on(name, () => told.push(name))
  socket.on('error', (error) => told.push(`error ${error.code ?? error.message}`))
  socket.on('close', (hadError) => told.push(`close ${hadError}`))
  return socket
}

/** What `act` writes down, with Node.js's own client and with ours. */
async function sameStory (act) {
  const stories = []
  for (const module of [tls, nodetls]) {
    await serve(tls, {}, async (port, server) => {
      server.on('tlsClientError', () => {})
      const told = []
      await act({ connect: (options) => module.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca().cert, ...options }), module, port, server, told })
      stories.push(told)
    }, (socket) => socket.resume())
  }
  assert.deepStrictEqual(stories[1], stories[0])
  return stories[1]
}

const gone = (socket) => new Promise((resolve) => socket.once('close', resolve))

limited('what ends before the handshake is done ends at once', async () => {
  const silent = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  for (const how of ['end', 'destroySoon']) {
    const told = await sameStory(async ({ connect, told }) => {
      const client = listen(connect({ port: silent.address().port }), told)
      client[how]()
      await gone(client)
    })
    assert.ok(told.includes('finish'))
  }
  silent.close()
})

limited('a server that leaves before the handshake is done is an end first, and then an error', async () => {
  const leaving = net.createServer((socket) => socket.resume().end()).listen(0, '127.0.0.1')
  await once(leaving, 'listening')
  const told = await sameStory(async ({ connect, told }) => {
    const client = listen(connect({ port: leaving.address().port }), told)
    await gone(client)
    told.push(client.readableEnded)
  })
  assert.deepStrictEqual(told, ['connect', 'ready', 'end', 'error ECONNRESET', 'close true', true])
  leaving.close()
})

limited('a socket of a server whose client leaves before the handshake is done ends, without an error', async () => {
  const stories = []
  for (const module of [tls, nodetls]) {
    const told = []
    const closed = new Promise((resolve) => {
      const plain = net.createServer((below) => {
        const { cert, key } = certificate()
        const socket = new module.TLSSocket(below, { isServer: true, secureContext: module.createSecureContext({ cert, key }) })
        gone(listen(socket, told)).then(() => plain.close(resolve))
      })
      plain.listen(0, '127.0.0.1', () => net.connect(plain.address().port, '127.0.0.1').resume().end())
    })
    await closed
    stories.push(told)
  }
  assert.deepStrictEqual(stories[1], stories[0])
  assert.deepStrictEqual(stories[1], ['end', 'finish', 'close false'])
})

limited('bytesWritten counts what waits for the connection and for the handshake', async () => {
  await sameStory(async ({ connect, told }) => {
    const client = connect()
    client.write('one')
    client.write('four', 'latin1')
    told.push(client.bytesWritten)
    await once(client, 'connect')
    told.push(client.bytesWritten)
    client.destroy()
    await gone(client)
    told.push(client.bytesWritten)
  })
})

limited('writes that wait when the socket is destroyed are called back as by Node.js\'s own', async () => {
  const moments = { 'before there is a connection': async () => {}, 'in the handshake': (client) => once(client, 'connect') }
  for (const error of [undefined, new Error('mine')]) {
    for (const [name, wait] of Object.entries(moments)) {
      await sameStory(async ({ connect, told }) => {
        told.push(name)
        const client = listen(connect(), told)
        const ended = new Promise((resolve) => finished(client, (failure) => resolve(failure?.code ?? failure?.message)))
        const write = (word) => client.write(word, (failure) => told.push(`${word} ${failure && (failure.code ?? failure.message)}`))
        write('first')
        write('second')
        await wait(client)
        client.destroy(error)
        await gone(client)
        told.push(await ended, client.errored?.code)
      })
    }
  }
})

limited('what waits for the handshake is sent after the program has been told of it', async () => {
  const told = await sameStory(async ({ connect, told }) => {
    const client = listen(connect(), told)
    client.write('early', () => told.push('written'))
    await secure(client)
    client.end()
    await gone(client.resume())
  })
  assert.ok(told.indexOf('secureConnect') < told.indexOf('written'))
})

limited('a stream that is destroyed below takes the connection with it, and that is no end', async () => {
  for (const stage of ['at once', 'in the handshake', 'when it is secure']) {
    const told = await sameStory(async ({ connect, server, told }) => {
      const [below, far] = streams()
      const client = listen(connect({ socket: below, host: undefined, port: undefined }), told)
      client.resume()
      if (stage === 'in the handshake') await once(far, 'readable')
      if (stage === 'when it is secure') {
        server.emit('connection', far)
        await secure(client)
      }
      below.destroy()
      await gone(client)
      told.push(client.readableEnded, client.readableAborted)
      far.destroy()
    })
    assert.ok(!told.includes('end'), stage)
  }
})

limited('an error of the stream below is one of the connection, whether or not the stream closes', async () => {
  for (const act of [(below, error) => below.emit('error', error), (below, error) => below.destroy(error)]) {
    await serve(nodetls, {}, async (port, server) => {
      const [below, far] = streams({ autoDestroy: false, emitClose: false })
      server.emit('connection', far)
      const told = []
      const client = listen(nodetls.connect({ socket: below, servername: 'localhost', ca: ca().cert }), told)
      await secure(client)
      act(below, new Error('from below'))
      await gone(client)
      assert.deepStrictEqual(told, ['secureConnect', 'error from below', 'close true'])
      far.destroy()
    })
  }
})

limited('a socket below that breaks as soon as it is connected is told of', () => serve(nodetls, {}, async (port) => {
  const told = []
  const below = net.connect(port, '127.0.0.1', () => below.destroy(new Error('at once')))
  await gone(listen(nodetls.connect({ socket: below, servername: 'localhost', ca: ca().cert }), told))
  assert.deepStrictEqual(told, ['connect', 'error at once', 'close true'])
}))

limited('a connection over a stream that is gone already fails', async () => {
  const [below] = streams()
  below.destroy()
  await gone(below)
  const told = []
  await gone(listen(nodetls.connect({ socket: below }), told))
  assert.deepStrictEqual(told, ['error ECONNRESET', 'close true'])
})

limited('a stream that gives text or objects is refused', async () => {
  const ways = [(below) => below.setEncoding('utf8'), (below) => { below.push = (chunk) => Duplex.prototype.push.call(below, chunk && { chunk }) }]
  for (const [objects, spoil] of ways.entries()) {
    await serve(nodetls, {}, async (port, server) => {
      const [below, far] = streams({ readableObjectMode: objects === 1 })
      spoil(below)
      server.emit('connection', far)
      const client = nodetls.connect({ socket: below, servername: 'localhost', ca: ca().cert })
      await assert.rejects(once(client, 'secureConnect'), { code: 'ERR_STREAM_WRAP' })
      far.destroy()
    })
  }
})

inPairings('whoever listens to the socket below does not hear the ciphertext', (S, C) => serve(S, {}, async (port) => {
  const below = net.connect(port, '127.0.0.1')
  await once(below, 'connect')
  const heard = []
  below.on('data', (data) => heard.push(data)).setEncoding('utf8')
  await withClient(C, { socket: below, host: undefined }, async (client) => {
    await secure(client)
    client.write('back')
    assert.strictEqual(String((await once(client, 'data'))[0]), 'back')
  })
  assert.deepStrictEqual(heard, [])
}))

/** What a socket that carries a connection hears of it. */
function overhear (below, told) {
  below.on('end', () => told.push('below: end')).on('error', () => told.push('below: error')).on('close', () => told.push('below: close'))
  return below
}

limited('the socket below hears of nothing before it is closed, however the peer leaves', async () => {
  // An alert (RFC 8446 §6): fatal, protocol_version.
  const alert = Buffer.from([21, 3, 3, 0, 2, 2, 70])
  const ways = { end: (socket) => socket.end(), alert: (socket) => socket.end(alert), reset: (socket) => socket.resetAndDestroy() }
  for (const [name, leave] of Object.entries(ways)) {
    const leaving = net.createServer((socket) => socket.once('data', () => leave(socket))).listen(0, '127.0.0.1')
    await once(leaving, 'listening')
    const told = await sameStory(async ({ connect, told }) => {
      const below = overhear(net.connect(leaving.address().port, '127.0.0.1'), told)
      await gone(listen(connect({ socket: below, host: undefined, port: undefined }), told))
    })
    assert.deepStrictEqual(told.slice(-2), ['below: close', 'close true'], name)
    assert.ok(!told.includes('below: end') && !told.includes('below: error'), name)
    leaving.close()
  }
})

limited('the socket below hears of nothing before it is closed, when a peer ends that has been spoken to', async () => {
  const told = await sameStory(async ({ connect, port, server, told }) => {
    server.once('secureConnection', (socket) => socket.end('bye'))
    const below = overhear(net.connect(port, '127.0.0.1'), told)
    await gone(listen(connect({ socket: below, host: undefined, port: undefined }), told).resume())
  })
  assert.deepStrictEqual(told.slice(-4), ['end', 'finish', 'below: close', 'close false'])
})

withClients('what was written reaches a peer that has ended its own side meanwhile', async (C) => {
  const length = 4 * 1024 * 1024
  let arrived
  const all = new Promise((resolve) => { arrived = resolve })
  await serve(nodetls, {}, async (port) => {
    const below = net.connect(port, '127.0.0.1')
    await withClient(C, { socket: below, host: undefined }, async (client) => {
      client.resume().write(Buffer.alloc(length))
      assert.strictEqual(await all, length)
    })
  }, (socket) => {
    let count = 0
    socket.end()
    socket.on('data', (data) => { count += data.length }).on('end', () => arrived(count))
  })
})

limited('a client that leaves ends a server\'s decision that is open, whichever comes first', async () => {
  const [below, far] = streams()
  tls.connect({ socket: below, servername: 'localhost' }).on('error', () => {})
  const [hello] = await once(far, 'data')
  below.destroy()
  const clients = 30
  await serve(nodetls, { SNICallback () {} }, async (port, server) => {
    const codes = []
    const over = new Promise((resolve) => server.on('tlsClientError', ({ code }) => { if (codes.push(code) === clients) resolve() }))
    for (let count = 0; count < clients; count++) net.connect(port, '127.0.0.1').resume().end(hello)
    await over
    assert.deepStrictEqual(codes, Array(clients).fill('ECONNRESET'))
  })
})

limited('a socket that is not connected yet is one that connects', async () => {
  await sameStory(async ({ connect, module, port, told }) => {
    const below = new net.Socket()
    const client = listen(connect({ socket: below, host: undefined, port: undefined }), told)
    told.push(client.connecting, client.pending, client.readyState)
    below.connect(port, '127.0.0.1')
    await secure(client)
    told.push(client.connecting, client.pending, client.readyState)
    client.destroy()
    await gone(client)
    const alone = listen(new module.TLSSocket(), told)
    told.push(alone.connecting, alone.readyState)
    alone.destroy()
    await gone(alone)
    told.push(alone.connecting, alone.readyState)
  })
})

limited('a connection over one that is being made tells when that is', async () => {
  await sameStory(async ({ connect, port, told }) => {
    const below = net.connect(port, '127.0.0.1')
    const client = listen(connect({ socket: below, host: undefined, port: undefined }), told)
    await secure(client)
    client.destroy()
    await gone(client)
  })
})

// Node.js 24 itself does not survive this.
limited('before there is a connection everything can be asked, as in Node.js 20', async () => {
  const client = nodetls.connect({ port: 1, host: '127.0.0.1' })
  client.on('error', () => {})
  const answers = [client.getPeerCertificate(), client.getCertificate(), client.getSharedSigalgs(), client.getEphemeralKeyInfo()]
  assert.deepStrictEqual(answers, [{}, {}, [], {}])
  assert.deepStrictEqual([511, 512, 16384, 16385].map((size) => client.setMaxSendFragment(size)), [false, true, true, false])
  client.destroy()
})

limited('the size of fragments can be set before there is a connection', () => serve(nodetls, {}, async (port, server) => {
  const [below, far] = streams()
  server.emit('connection', far)
  const client = nodetls.connect({ socket: below, servername: 'localhost', ca: ca().cert })
  client.setMaxSendFragment(512)
  await secure(client)
  const sent = []
  far.on('data', (data) => sent.push(data))
  client.write(Buffer.alloc(2000))
  await once(client, 'data')
  const lengths = []
  for (let rest = Buffer.concat(sent); rest.length > 0; rest = rest.subarray(5 + rest.readUInt16BE(3))) lengths.push(rest.readUInt16BE(3))
  assert.ok(lengths.length >= 4 && Math.max(...lengths) < 600, String(lengths))
}))

limited('a signal that was given before leaves nothing behind', () => serve(nodetls, {}, async (port) => {
  const told = []
  const client = listen(nodetls.connect({ port, host: '127.0.0.1', signal: AbortSignal.abort() }), told)
  await gone(client)
  assert.deepStrictEqual(told, ['error ABORT_ERR', 'close true'])
  assert.deepStrictEqual([client.destroyed, client.writable, client.connecting], [true, false, false])
  assert.throws(() => nodetls.connect({ port, signal: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
}))

limited('a program that reads into its own buffer stops and goes on', async () => {
  const stories = []
  for (const module of [tls, nodetls]) {
    await serve(tls, {}, async (port) => {
      const told = []
      let own = 0
      const onread = {
        buffer: Buffer.alloc(4),
        callback (length, buffer) {
          told.push(buffer.toString('latin1', 0, length))
          if (this === client) own++
          setImmediate(() => client.resume())
          return false
        }
      }
      const client = listen(module.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert, onread }), told)
      await gone(client)
      stories.push([...told, own, client.bytesRead])
    }, (socket) => socket.end('ten bytes!'))
  }
  assert.deepStrictEqual(stories[1], stories[0])
})

limited('a long write is no silence', () => serve(nodetls, {}, async (port, server) => {
  const [below, far] = streams()
  server.emit('connection', far)
  const client = nodetls.connect({ socket: below, servername: 'localhost', ca: ca().cert })
  await secure(client)
  let signs = 0
  client._unrefTimer = () => signs++
  await new Promise((resolve) => client.write(Buffer.alloc(4 << 20), resolve))
  assert.ok(signs > 10, `${signs} signs of life`)
  client.destroy()
}, (socket) => socket.resume()))

limited('a handshake that goes nowhere keeps no process alive', () => {
  const program = `
    const { Duplex } = require('node:stream')
    const server = require(${JSON.stringify(require.resolve('..'))}).createServer()
    server.emit('connection', new Duplex({ read () {}, write (chunk, encoding, done) { done() } }))`
  execFileSync(process.execPath, ['-e', program], { timeout: 5000 })
})

'use strict'

// Listeners and callbacks are called in the contexts (AsyncLocalStorage) in which node:tls calls them, whichever
// connection's turn it is, and wherever a decision was taken.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { once } = require('node:events')
const { test } = require('node:test')

const { builtin, identity, listening, nodetls, trusting } = require('./peers')

const storage = new AsyncLocalStorage()
const CLIENTS = 12

/** What was called, and in whose context: `name in context`, each once. */
function recorder (contexts) {
  return (name, own) => {
    const context = storage.getStore()
    contexts.add(`${name} in ${context === own ? 'its own' : context === undefined ? 'none' : 'another'}`)
  }
}

/** A server, made and listening in a context of its own, that decides and reads in others. */
function makeServer (tls, told) {
  const options = identity({
    SNICallback (name, done) {
      told('SNICallback', 'server')
      storage.run('elsewhere', () => setImmediate(done, null, tls.createSecureContext(identity())))
    }
  })
  return tls.createServer(options, (socket) => {
    told('secureConnection', 'server')
    socket.on('end', () => told('end at the server', 'server'))
    storage.run('elsewhere', () => socket.on('data', (data) => {
      told('data at the server', 'server')
      socket.write(data)
    }))
  })
}

/** A client in a context of its own. */
function runClient (tls, port, told, own) {
  return storage.run(own, async () => {
    const socket = tls.connect(trusting(port, own % 2 ? { checkServerIdentity () { told('checkServerIdentity', own) } } : {}))
    for (const event of ['connect', 'secureConnect', 'session', 'end', 'close']) socket.on(event, () => told(event, own))
    socket.write('early', () => told('the callback of an early write', own))
    storage.run('elsewhere', () => socket.on('data', () => {
      told('data', own)
      socket.end()
    }))
    await once(socket, 'close')
  })
}

async function contexts (t, tls) {
  const found = new Set()
  const told = recorder(found)
  const server = storage.run('server', () => makeServer(tls, told))
  const port = await storage.run('server', () => listening(t, server))
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => runClient(tls, port, told, index)))
  return [...found].sort()
}

test('listeners and callbacks are called in the contexts in which node:tls calls them', async (t) => {
  const expected = await contexts(t, builtin)
  assert.ok(expected.includes('secureConnect in its own'))
  assert.deepEqual(await contexts(t, nodetls), expected)
})

'use strict'

// Servers and clients of this package and of Node.js, in every pairing, over real TCP on the loopback interface.

const assert = require('node:assert')
const { once } = require('node:events')
const tls = require('node:tls')
const { test } = require('node:test')

const nodetls = require('..')
const { ca, certificate } = require('./fixtures')

/** This package at both ends, and at either end of Node.js's own. */
const PAIRINGS = [
  ['nodetls with nodetls', nodetls, nodetls],
  ['a server of nodetls with a client of Node.js', nodetls, tls],
  ['a client of nodetls with a server of Node.js', tls, nodetls]
]
const VERSIONS = ['TLSv1.2', 'TLSv1.3']

const LIMIT = 10000

/** A test that fails rather than hangs. */
function limited (title, body, timeout = LIMIT) {
  test(title, { timeout }, body)
}

/** The same test for each pairing: the body gets both modules. */
function inPairings (title, body) {
  test(title, { timeout: LIMIT * PAIRINGS.length }, async (t) => {
    for (const [name, serving, connecting] of PAIRINGS) await t.test(name, { timeout: LIMIT }, () => body(serving, connecting))
  })
}

/** The same test for clients of this package and of Node.js, of our server. */
function withClients (title, body) {
  test(title, { timeout: LIMIT * 2 }, async (t) => {
    for (const [name, client] of [['nodetls', nodetls], ['Node.js', tls]]) {
      await t.test(`a client of ${name}`, { timeout: LIMIT }, () => body(client))
    }
  })
}

/** Options of a server for `localhost`. */
function serverOptions (options = {}) {
  const { cert, key } = certificate()
  return { cert, key, ...options }
}

/**
 * A listening server, closed with all its sockets at the end of `use`.
 * @param {any} serving
 * @param {any} options
 * @param {(port: number, server: any) => Promise<any>} use
 * @param {(socket: any) => void} [listener]
 */
async function serve (serving, options, use, listener = (socket) => socket.pipe(socket)) {
  const sockets = new Set()
  const server = serving.createServer(serverOptions(options))
  server.on('connection', (socket) => sockets.add(socket))
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {})
    listener(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use(server.address().port, server)
  } finally {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
}

/** A connecting client; destroyed at the end of `use`. */
async function withClient (connecting, options, use) {
  const socket = connecting.connect({ host: '127.0.0.1', servername: 'localhost', ca: ca().cert, ...options })
  try {
    return await use(socket)
  } finally {
    socket.destroy()
  }
}

/** Waits for the handshake; an error rejects. */
async function secure (socket) {
  await once(socket, 'secureConnect')
  return socket
}

/** A server and a client that are connected: `use(client, serverSocket, server)`. */
function connected (serving, connecting, { server = {}, client = {} } = {}, use) {
  let accepted
  const arrived = new Promise((resolve) => { accepted = resolve })
  return serve(serving, server, (port, listening) => withClient(connecting, { port, ...client }, async (socket) => {
    const [, serverSocket] = await Promise.all([secure(socket), arrived])
    return use(socket, serverSocket, listening)
  }), (socket) => accepted(socket))
}

/** Sends text and gives what comes back. */
function echo (socket, text) {
  let back = ''
  return new Promise((resolve, reject) => {
    const take = (chunk) => {
      back += chunk
      if (back.length < text.length) return
      socket.off('data', take).off('error', reject)
      resolve(back)
    }
    socket.on('data', take).on('error', reject).write(text)
  })
}

/** How a connection that must not succeed ends: the client's error and the server's. */
function refused (serving, connecting, { server = {}, client = {} }) {
  return serve(serving, server, (port, listening) => withClient(connecting, { port, ...client }, async (socket) => {
    const atServer = once(listening, 'tlsClientError').then(([error]) => error)
    const atClient = new Promise((resolve) => {
      socket.on('error', resolve)
      socket.on('close', () => resolve(null))
    })
    // A client that refuses does not always tell the server why.
    return { client: await atClient, server: await Promise.race([atServer, new Promise((resolve) => setTimeout(resolve, 1000, null))]) }
  }))
}

module.exports = { PAIRINGS, VERSIONS, assert, connected, echo, inPairings, limited, nodetls, once, refused, secure, serve, serverOptions, tls, withClient, withClients }

// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// `http2` over this module: Node.js's own sessions, with our sockets below.

const http = require('node:http')
const http2 = require('node:http2')
const net = require('node:net')
const { PassThrough } = require('node:stream')
const { promisify } = require('node:util')

const { borrowFields, listenerOf } = require('./borrow')
const { codes } = require('./errors')
const { Frames } = require('./http2-frames')
const tls = require('./tls')

const { Server: TLSServer, TLSSocket } = tls

const ignore = () => {}

// ---- sockets for sessions ----

let streamSocket

/**
 * The class by which Node.js lets sessions use streams that are not its own; only a session has it. It would hide our
 * socket, so a session gets the class's handle and our socket.
 */
function streamSocketClass () {
  if (streamSocket) return streamSocket
  const session = http2.connect('http://localhost', { createConnection: () => new PassThrough() })
  streamSocket = session.socket.constructor
  session.on('error', ignore).destroy()
  return streamSocket
}

/** The handle through which a session uses our socket. */
function handleFor (socket) {
  const through = new (streamSocketClass())(new Frames(socket, socket._tlsOptions.isServer))
  // The socket tells of its errors itself.
  through.on('error', ignore)
  return through._handle
}

/** Shows the socket with that handle while a session is being made of it. */
function withHandle (socket, handle, make) {
  const own = socket._handle
  const restore = () => { if (socket._handle === handle) socket._handle = own }
  socket._handle = handle
  try {
    return make(restore)
  } finally {
    restore()
  }
}

// ---- servers ----

/**
 * A server for `h2`, and for `http/1.1` where `allowHTTP1` says so.
 * @constructor
 * @this {any}
 * @param {any} [options]
 * @param {(request: any, response: any) => void} [listener]
 */
function Http2SecureServer (options, listener) {
  if (typeof options === 'function') throw codes.ERR_INVALID_ARG_TYPE('options', 'Object', options)
  const donor = http2.createServer(options)
  const allowHTTP1 = options?.allowHTTP1 === true
  options = { ...options }
  if (!options.ALPNCallback) options.ALPNProtocols = allowHTTP1 ? ['h2', 'http/1.1'] : ['h2']
  const serve = listenerOf(donor, 'connection')
  const http1 = allowHTTP1 ? http.createServer(options) : null
  if (http1) borrowFields(this, http1)
  borrowFields(this, donor)
  TLSServer.call(this, options, (socket) => begin(this, socket, serve))
  this.on('newListener', listenerOf(donor, 'newListener'))
  if (http1) this.on('listening', listenerOf(http1, 'listening'))
  if (typeof listener === 'function') this.on('request', listener)
  this.on('tlsClientError', (error, socket) => {
    if (!this.emit('clientError', error, socket)) socket.destroy(error)
  })
  this[kAllowHTTP1] = allowHTTP1
}
Object.setPrototypeOf(Http2SecureServer.prototype, TLSServer.prototype)
Object.setPrototypeOf(Http2SecureServer, TLSServer)

const kAllowHTTP1 = Symbol('allow-http1')

/** The timer by which http.Server looks for slow requests. */
const intervalOf = (server) => server[Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connectionsCheckingInterval')]

function begin (server, socket, serve) {
  if (socket.alpnProtocol !== 'h2') return serve.call(server, socket)
  withHandle(socket, handleFor(socket), (restore) => {
    server.prependOnceListener('session', restore)
    try {
      serve.call(server, socket)
    } finally {
      server.off('session', restore)
    }
  })
}

const donorPrototype = Object.getPrototypeOf(http2.createServer())

const methods = {
  setTimeout: donorPrototype.setTimeout,
  updateSettings: donorPrototype.updateSettings,

  close (...words) {
    if (this[kAllowHTTP1]) {
      this.closeIdleConnections()
      clearInterval(intervalOf(this))
    }
    return donorPrototype.close.apply(this, words)
  },

  closeIdleConnections () {
    if (this[kAllowHTTP1]) http.Server.prototype.closeIdleConnections.call(this)
  }
}
for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Http2SecureServer.prototype, name, { value, writable: true, configurable: true })
}

function createSecureServer (options, listener) {
  return new Http2SecureServer(options, listener)
}

// ---- clients ----

/** The connection that a session asks for. */
function connectionTo (url, options) {
  const host = (url.hostname || url.host || 'localhost').replace(/^\[(.*)\]$/, '$1')
  return tls.connect({
    port: url.port === '' || url.port === undefined ? 443 : Number(url.port),
    host,
    ...options,
    ...(options?.servername || net.isIP(host) ? {} : { servername: host }),
    ...(options?.ALPNCallback ? {} : { ALPNProtocols: options?.allowHTTP1 ? ['h2', 'http/1.1'] : ['h2'] })
  })
}

/**
 * A session with a server; `https:` goes over our sockets.
 * @param {string | URL} authority
 * @param {any} [options]
 * @param {(session: any, socket: any) => void} [listener]
 */
function connect (authority, options, listener) {
  if (typeof options === 'function') [options, listener] = [undefined, options]
  const url = typeof authority === 'string' ? new URL(authority) : authority
  const given = options?.createConnection
  if (typeof given !== 'function' && url?.protocol !== 'https:') return http2.connect(authority, options, listener)
  let restore = ignore
  const createConnection = (...words) => {
    const socket = typeof given === 'function' ? given.apply(options, words) : connectionTo(url, options)
    if (socket instanceof TLSSocket) restore = prepare(socket)
    return socket
  }
  try {
    return http2.connect(authority, { ...options, createConnection }, listener)
  } finally {
    restore()
  }
}

/** Until the returned function is called the socket is one that a session takes for Node.js's own. */
function prepare (socket) {
  const handle = handleFor(socket)
  const own = socket._handle
  socket._handle = handle
  // A session over a socket of Node.js's own begins when that is secure.
  socket.once = function (event, listener) {
    if (event !== 'connect') return TLSSocket.prototype.once.call(this, event, listener)
    return TLSSocket.prototype.once.call(this, 'secureConnect', () => withHandle(this, handle, listener))
  }
  return () => {
    delete socket.once
    socket._handle = own
  }
}

// The names that `import { … }` can take: Node.js looks for such assignments in the text.
exports.Http2ServerRequest = exports.Http2ServerResponse = exports.connect = undefined
exports.constants = exports.createSecureServer = exports.createServer = undefined
exports.getDefaultSettings = exports.getPackedSettings = exports.getUnpackedSettings = undefined
exports.performServerHandshake = exports.sensitiveHeaders = undefined

const { custom } = promisify
Object.defineProperty(connect, custom, {
  configurable: true,
  value (authority, options) {
    return new Promise((resolve, reject) => {
      const session = connect(authority, options, () => {
        session.off('error', reject)
        resolve(session)
      })
      session.once('error', reject)
    })
  }
})

module.exports = { ...http2, connect, createSecureServer }

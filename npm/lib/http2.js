'use strict'

// `http2` over this module: Node.js's own sessions, with our sockets below.

const { EventEmitter } = require('node:events')
const http = require('node:http')
const http2 = require('node:http2')

const { connect: connectTLS } = require('./connect')
const { Server: TLSServer } = require('./server')

/** Events of the outer server that concern its transport, and nobody else's. */
const OWN = ['connection', 'listening', 'close', 'error', 'secureConnection', 'tlsClientError', 'newListener', 'removeListener']

/**
 * A server for `h2`, and for `http/1.1` where `allowHTTP1` says so.
 * @param {any} [options]
 * @param {(request: any, response: any) => void} [listener]
 */
function createSecureServer (options, listener) {
  if (typeof options === 'function') [options, listener] = [{}, options]
  const { allowHTTP1 = false } = options ?? {}
  /** @type {any} */
  const server = new TLSServer({ ...options, ALPNProtocols: options?.ALPNProtocols ?? (allowHTTP1 ? ['h2', 'http/1.1'] : ['h2']) })
  const sessions = passOn(http2.createServer(options), server)
  const requests = allowHTTP1 ? passOn(http.createServer(options), server) : null
  server.on('secureConnection', (socket) => {
    const inner = socket.alpnProtocol === 'h2' ? sessions : requests
    if (inner) EventEmitter.prototype.emit.call(inner, 'connection', socket)
    else if (!server.emit('unknownProtocol', socket)) socket.destroy()
  })
  server.setTimeout = (milliseconds, callback) => {
    sessions.setTimeout(milliseconds)
    if (callback) server.on('timeout', callback)
    return server
  }
  server.updateSettings = (settings) => sessions.updateSettings(settings)
  if (listener) server.on('request', listener)
  return server
}

/** Makes the events of an inner server those of the outer one. */
function passOn (inner, outer) {
  // Requests are made of streams only where somebody listens for requests.
  const wantsRequests = (name) => {
    if (name !== 'request') return
    outer.off('newListener', wantsRequests)
    inner.on('request', () => {})
  }
  outer.on('newListener', wantsRequests)
  inner.emit = (name, ...values) => {
    const own = OWN.includes(String(name))
    const heard = own || name === 'stream' ? EventEmitter.prototype.emit.call(inner, name, ...values) : false
    if (name === 'session') markSecure(values[0])
    return own ? heard : outer.emit(name, ...values) || heard
  }
  inner.listenerCount = (name) => outer.listenerCount(name)
  return inner
}

/** Node.js takes a session over a stream that is not its own for one without TLS. */
function markSecure (session) {
  Object.defineProperties(session, {
    encrypted: { value: true, configurable: true },
    alpnProtocol: { value: 'h2', configurable: true }
  })
  return session
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
  if (url.protocol !== 'https:' || options?.createConnection) return http2.connect(authority, options, listener)
  const host = (url.hostname || url.host || 'localhost').replace(/^\[(.*)\]$/, '$1')
  const createConnection = () => connectTLS({
    port: url.port === '' ? 443 : Number(url.port),
    host,
    ALPNProtocols: ['h2'],
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    ...options
  })
  return markSecure(http2.connect(authority, { ...options, createConnection }, listener))
}

module.exports = { ...http2, connect, createSecureServer }

// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// Server: a net.Server that makes a TLSSocket of each connection.

const { createHash } = require('node:crypto')
const { channel } = require('node:diagnostics_channel')
const net = require('node:net')
const { deprecate } = require('node:util')

const native = require('./generated')
const { convertALPNProtocols } = require('./alpn')
const { serverOptions } = require('./connection-options')
const defaults = require('./defaults')
const { codes, connResetException, fromNative } = require('./errors')
const { wanted } = require('./questions')
const { SecureContext } = require('./secure-context')
const { secureSockets } = require('./server-iterator')
const { kErrorEmitted, kNative } = require('./symbols')
const { TLSSocket } = require('./tls-socket')
const { takeTurn } = require('./turns')
const { validateBuffer, validateFunction, validateNumber, validateObject, validateString } = require('./validators')

const kConfigs = Symbol('configs')
const kOptions = Symbol('options')
const kTicketKeys = Symbol('ticket-keys')
const kRejection = Symbol.for('nodejs.rejection')

/** Milliseconds. */
const HANDSHAKE_TIMEOUT = 120 * 1000
/** Bytes. */
const TICKET_KEYS = 48

/** Messages for whoever watches: `{ server, socket }`, and the error of a handshake that has failed. */
const secured = channel('nodetls.server.secure')
const failed = channel('nodetls.server.error')

/** Options of contexts that a server has as properties, in Node.js's order. What is empty counts as not given … */
const OF_CONTEXT = ['pfx', 'key', 'passphrase', 'cert', 'clientCertEngine', 'ca', 'minVersion', 'maxVersion', 'secureProtocol',
  'crl', 'sigalgs', 'ciphers', 'ecdhCurve', 'dhparam', 'honorCipherOrder', 'secureOptions', 'sessionIdContext',
  'privateKeyIdentifier', 'privateKeyEngine']
/** … but these are taken as they are. */
const AS_GIVEN = new Set(['sigalgs', 'ecdhCurve', 'privateKeyIdentifier', 'privateKeyEngine'])

/**
 * @param {any} [options]
 * @param {(socket: any) => void} [listener]
 */
function Server (options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener)
  if (typeof options === 'function') [options, listener] = [{}, options]
  else if (options == null) options = {}
  else if (typeof options !== 'object') throw codes.ERR_INVALID_ARG_TYPE('options', 'Object', options)
  this._contexts = []
  this[kConfigs] = new Map()
  this[kTicketKeys] = null
  this.requestCert = options.requestCert === true
  this.rejectUnauthorized = options.rejectUnauthorized !== false
  this.ALPNCallback = options.ALPNCallback
  if (options.ALPNCallback && options.ALPNProtocols) throw codes.ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS()
  if (options.sessionTimeout) this.sessionTimeout = options.sessionTimeout
  if (options.ticketKeys) this.ticketKeys = options.ticketKeys
  if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, this)
  this.setSecureContext(options)
  this[kOptions] = checked(options)
  net.Server.call(this, options, onConnection)
  if (listener) this.on('secureConnection', listener)
}
Object.setPrototypeOf(Server.prototype, net.Server.prototype)
Object.setPrototypeOf(Server, net.Server)

/** The options for sockets, checked in Node.js's order. */
function checked (options) {
  const handshakeTimeout = options.handshakeTimeout || HANDSHAKE_TIMEOUT
  // A time limit that is none would leave a server to clients that never end a handshake.
  validateNumber(handshakeTimeout, 'options.handshakeTimeout', 0, Number.MAX_SAFE_INTEGER)
  for (const name of ['SNICallback', 'pskCallback']) {
    if (options[name]) validateFunction(options[name], `options.${name}`)
  }
  if (options.pskIdentityHint) validateString(options.pskIdentityHint, 'options.pskIdentityHint')
  return { ...options, handshakeTimeout }
}

// ---- connections ----

/** A connection has come in, or was handed over: any Duplex. */
function onConnection (stream) {
  if (takeTurn(serve, this, stream)) return
  // Until it is its turn nobody else hears of its errors.
  stream.on('error', () => {})
}

/** The options of a server's sockets. */
function socketOptions (server) {
  const options = server[kOptions]
  return {
    enableTrace: Boolean(options.enableTrace),
    highWaterMark: options.highWaterMark,
    rejectTruncated: options.rejectTruncated,
    handshakeTimeout: options.handshakeTimeout,
    onClientHello: options.onClientHello,
    SNICallback: options.SNICallback,
    sign: options.sign,
    resumeSession: options.resumeSession,
    newSession: options.newSession,
    OCSPRequest: options.OCSPRequest,
    pskCallback: options.pskCallback,
    allowHalfOpen: server.allowHalfOpen,
    secureContext: server._sharedCreds,
    isServer: true,
    server,
    requestCert: server.requestCert,
    rejectUnauthorized: server.rejectUnauthorized,
    ALPNProtocols: server.ALPNProtocols,
    ALPNCallback: server.ALPNCallback,
    pauseOnConnect: server.pauseOnConnect
  }
}

/** @this {any} the server */
function serve (stream) {
  const socket = new TLSSocket(stream, socketOptions(this))
  socket._closeAfterHandlingError = true
  socket.on('secure', onSecure)
  socket.on('close', onClose)
  socket.on('_tlsError', onError)
  // As in Node.js, no client can end a process by leaving: what a program does not listen for is not thrown.
  socket.on('error', onError)
  if (this.listenerCount('keylog') > 0) socket.on('keylog', onKeylog)
}

function onKeylog (line) {
  this._tlsOptions.server.emit('keylog', line, this)
}

function onSecure () {
  const { server } = this._tlsOptions
  if (this._controlReleased || this.destroyed) return
  if (this._requestCert) setAuthorization(this)
  if (this.destroyed || !this._releaseControl()) return
  this.secureConnecting = false
  this._closeAfterHandlingError = false
  if (secured.hasSubscribers) secured.publish({ server, socket: this })
  server.emit('secureConnection', this)
}

function setAuthorization (socket) {
  const objection = socket[kNative].authorizationError()
  socket.authorized = objection === null
  socket.authorizationError = objection && fromNative(objection).code
  // The core has refused such a client already; this is here so that nothing else decides it.
  if (objection !== null && socket._rejectUnauthorized) socket.destroy(fromNative(objection))
}

function onClose () {
  // A client that left before the handshake was done.
  if (!this._controlReleased) onError.call(this, connResetException('socket hang up'))
}

function onError (error) {
  if (this._controlReleased || this[kErrorEmitted]) return
  this[kErrorEmitted] = true
  const { server } = this._tlsOptions
  if (failed.hasSubscribers) failed.publish({ server, socket: this, error })
  server.emit('tlsClientError', error, this)
}

// ---- methods ----

const methods = {
  /** The context of connections from now on. Tickets of the one before are not accepted any more, unless their keys are given. */
  setSecureContext (options) {
    validateObject(options, 'options')
    for (const name of OF_CONTEXT) this[name] = AS_GIVEN.has(name) ? options[name] : options[name] || undefined
    this.honorCipherOrder = options.honorCipherOrder === undefined || Boolean(options.honorCipherOrder)
    this.sessionIdContext = options.sessionIdContext || defaultSessionIdContext()
    if (options.sessionTimeout) this.sessionTimeout = options.sessionTimeout
    if (options.ticketKeys) this.ticketKeys = options.ticketKeys
    this._sharedCreds = defaults.settings.createSecureContext({ ...options, ...contextOptions(this) })
    this[kTicketKeys] = null
    this[kConfigs].clear()
  },

  /** The keys of session tickets: 48 bytes. */
  getTicketKeys () {
    this[kTicketKeys] ??= this._sharedCreds.context.getTicketKeys() ?? defaults.ticketKeys()
    return Buffer.from(this[kTicketKeys])
  },

  /** Other keys, for connections from now on; all contexts of the server use them. */
  setTicketKeys (keys) {
    validateBuffer(keys)
    if (keys.byteLength !== TICKET_KEYS) throw codes.ERR_INTERNAL_ASSERTION('Session ticket keys must be a 48-byte buffer')
    this[kTicketKeys] = Buffer.from(Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength))
    this[kConfigs].clear()
  },

  /** A context for a server name, in which `*` stands for anything within a label; later ones win. */
  addContext (servername, context) {
    if (!servername) throw codes.ERR_TLS_REQUIRED_SERVER_NAME()
    const pattern = servername.replace(/([.^$+?\-\\[\]{}])/g, '\\$1').replaceAll('*', '[^.]*')
    const secureContext = context instanceof SecureContext ? context : defaults.settings.createSecureContext(context)
    // Names of hosts have no case (CVE-2026-48928).
    this._contexts.push([new RegExp(`^${pattern}$`, 'i'), secureContext.context])
  },

  setOptions: deprecate(function (options) {
    this.requestCert = options.requestCert === true
    this.rejectUnauthorized = options.rejectUnauthorized !== false
    if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, this)
    this.setSecureContext({ ...contextOptions(this), ...options })
  }, 'Server.prototype.setOptions() is deprecated', 'DEP0122'),

  // What the workers of a cluster have in common: node:cluster asks the first one, and tells the others.
  _getServerData () {
    return { ticketKeys: this.getTicketKeys().toString('hex') }
  },

  _setServerData (data) {
    this.setTicketKeys(Buffer.from(data.ticketKeys, 'hex'))
  },

  [kRejection] (error, event, socket) {
    if (event === 'secureConnection') socket.destroy(error)
    else net.Server.prototype[kRejection].call(this, error, event, socket)
  },

  /** Connections as they become secure: `for await (const socket of server)`, until the server is closed. */
  [Symbol.asyncIterator] () {
    return secureSockets(this)
  }
}
for (const name of Reflect.ownKeys(methods)) {
  Object.defineProperty(Server.prototype, name, { value: methods[name], writable: true, configurable: true, enumerable: typeof name === 'string' })
}

/** The options of a server's context, as its properties have them. */
function contextOptions (server) {
  const names = [...OF_CONTEXT, 'sessionTimeout', 'ticketKeys']
  return Object.fromEntries(names.map((name) => [name, server[name]]))
}

/** What the addon is told of a connection; the same for all that ask the same questions. Only for `createConnection`. */
function nativeConfig (socket) {
  const questions = wanted(socket)
  const name = `${this.requestCert} ${this.rejectUnauthorized} ${questions}`
  const known = this[kConfigs].get(name)
  if (known !== undefined) return known
  const config = native.NativeServerConfig.create(serverOptions({
    ...this[kOptions],
    ALPNProtocols: this.ALPNProtocols,
    requestCert: this.requestCert,
    rejectUnauthorized: this.rejectUnauthorized,
    sessionIdContext: this.sessionIdContext,
    ticketKeys: this.getTicketKeys(),
    renegotiationLimit: defaults.CLIENT_RENEG_LIMIT,
    renegotiationWindow: defaults.CLIENT_RENEG_WINDOW
  }, questions))
  this[kConfigs].set(name, config)
  return config
}

Object.defineProperties(Server.prototype, {
  nativeConfig: { value: nativeConfig, writable: true, configurable: true },
  connections: {
    get: deprecate(function () { return this._connections }, 'Server.connections property is deprecated. Use Server.getConnections method instead.', 'DEP0020'),
    set: deprecate(function (value) { this._connections = value }, 'Server.connections property is deprecated. Use Server.getConnections method instead.', 'DEP0020'),
    configurable: true,
    enumerable: false
  }
})

/** The manual: "a 128 bit truncated SHA1 hash value generated from process.argv". */
function defaultSessionIdContext () {
  return createHash('sha1').update(process.argv.join(' ')).digest('hex').slice(0, 32)
}

/**
 * @param {any} [options]
 * @param {(socket: any) => void} [listener]
 */
function createServer (options, listener) {
  return new Server(options, listener)
}

module.exports = { Server, createServer }

// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// Server: a net.Server that makes a TLSSocket of each connection.

const { createHash } = require('node:crypto')
const net = require('node:net')

const native = require('./generated')
const { convertALPNProtocols } = require('./alpn')
const { serverOptions } = require('./connection-options')
const defaults = require('./defaults')
const { codes, connResetException } = require('./errors')
const { wanted } = require('./questions')
const { SecureContext, createSecureContext } = require('./secure-context')
const { kErrorEmitted, kNative } = require('./symbols')
const { TLSSocket } = require('./tls-socket')
const { validateBuffer, validateString } = require('./validators')

const kConfigs = Symbol('configs')
const kOptions = Symbol('options')
const kTicketKeys = Symbol('ticket-keys')

const HANDSHAKE_TIMEOUT = 120 * 1000
const TICKET_KEYS = 48

/** Options that a server hands to its sockets. */
const PASSED_ON = ['enableTrace', 'highWaterMark', 'rejectTruncated', 'onClientHello', 'sign', 'resumeSession', 'newSession', 'OCSPRequest', 'pskCallback']

/**
 * @constructor
 * @this {any}
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
  if (options.sessionTimeout) this.sessionTimeout = options.sessionTimeout
  if (options.ticketKeys) this.ticketKeys = options.ticketKeys
  if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, this)
  this.setSecureContext(options)
  checkOptions(this, options)
  net.Server.call(this, options, onConnection)
  if (listener) this.on('secureConnection', listener)
}
Object.setPrototypeOf(Server.prototype, net.Server.prototype)
Object.setPrototypeOf(Server, net.Server)

function checkOptions (server, options) {
  const handshakeTimeout = options.handshakeTimeout || HANDSHAKE_TIMEOUT
  if (typeof handshakeTimeout !== 'number') throw codes.ERR_INVALID_ARG_TYPE('options.handshakeTimeout', 'number', options.handshakeTimeout)
  if (options.SNICallback && typeof options.SNICallback !== 'function') throw codes.ERR_INVALID_ARG_TYPE('options.SNICallback', 'function', options.SNICallback)
  if (options.pskCallback && typeof options.pskCallback !== 'function') throw codes.ERR_INVALID_ARG_TYPE('options.pskCallback', 'function', options.pskCallback)
  if (options.pskIdentityHint) validateString(options.pskIdentityHint, 'options.pskIdentityHint')
  if (options.ALPNCallback && options.ALPNProtocols) throw codes.ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS()
  server[kOptions] = { ...options, handshakeTimeout }
}

/**
 * A connection has come in, or was handed over: any Duplex.
 * @this {any}
 */
function onConnection (stream) {
  const options = this[kOptions]
  const socket = new TLSSocket(stream, {
    ...Object.fromEntries(PASSED_ON.map((name) => [name, options[name]])),
    allowHalfOpen: this.allowHalfOpen,
    secureContext: this._sharedCreds,
    isServer: true,
    server: this,
    requestCert: this.requestCert,
    rejectUnauthorized: this.rejectUnauthorized,
    handshakeTimeout: options.handshakeTimeout,
    ALPNProtocols: this.ALPNProtocols,
    ALPNCallback: this.ALPNCallback,
    SNICallback: options.SNICallback,
    pauseOnConnect: this.pauseOnConnect
  })
  socket[kErrorEmitted] = false
  socket._closeAfterHandlingError = true
  socket.on('secure', onSecure)
  socket.on('close', onClose)
  socket.on('_tlsError', onError)
  if (this.listenerCount('keylog') > 0) socket.on('keylog', (line) => this.emit('keylog', line, socket))
}

/** @this {any} */
function onSecure () {
  const { server } = this._tlsOptions
  if (this._requestCert && !this._controlReleased) {
    const objection = this[kNative].authorizationError()
    this.authorized = objection === null
    this.authorizationError = objection?.code ?? null
  }
  if (!this.destroyed && this._releaseControl()) {
    this.secureConnecting = false
    this._closeAfterHandlingError = false
    server.emit('secureConnection', this)
  }
}

/** @this {any} */
function onClose () {
  // A client that left before the handshake was done.
  if (this._controlReleased || this[kErrorEmitted]) return
  this[kErrorEmitted] = true
  this._tlsOptions.server.emit('tlsClientError', connResetException('socket hang up'), this)
}

/** @this {any} */
function onError (error) {
  if (this._controlReleased || this[kErrorEmitted]) return
  this[kErrorEmitted] = true
  this._tlsOptions.server.emit('tlsClientError', error, this)
}

const methods = {
  /** The context of connections from now on. */
  setSecureContext (options) {
    if (options === null || typeof options !== 'object') throw codes.ERR_INVALID_ARG_TYPE('options', 'Object', options)
    this.sessionIdContext = options.sessionIdContext ?? defaultSessionIdContext()
    for (const name of ['pfx', 'key', 'passphrase', 'cert', 'ca', 'minVersion', 'maxVersion', 'secureProtocol', 'crl', 'ciphers',
      'ecdhCurve', 'dhparam', 'secureOptions', 'sigalgs', 'clientCertEngine', 'privateKeyEngine', 'privateKeyIdentifier']) {
      this[name] = options[name]
    }
    this.honorCipherOrder = options.honorCipherOrder ?? true
    if (options.sessionTimeout) this.sessionTimeout = options.sessionTimeout
    this._sharedCreds = createSecureContext({
      ...options,
      honorCipherOrder: this.honorCipherOrder,
      sessionIdContext: this.sessionIdContext,
      sessionTimeout: options.sessionTimeout ?? this.sessionTimeout
    })
    if (options.ticketKeys) this.setTicketKeys(options.ticketKeys)
    this[kConfigs].clear()
  },

  /** The keys of session tickets: 48 bytes. */
  getTicketKeys () {
    this[kTicketKeys] ??= this.ticketKeys ? Buffer.from(this.ticketKeys) : (this._sharedCreds.context.getTicketKeys?.() ?? defaults.ticketKeys())
    return Buffer.from(this[kTicketKeys])
  },

  setTicketKeys (keys) {
    validateBuffer(keys)
    if (keys.byteLength !== TICKET_KEYS) {
      throw Object.assign(new (require('node:assert').AssertionError)({ message: 'Session ticket keys must be a 48-byte buffer' }), {})
    }
    this[kTicketKeys] = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength)
    this[kConfigs].clear()
  },

  /** A context for a server name, which may begin with a wildcard; later ones win. */
  addContext (servername, context) {
    if (!servername) throw codes.ERR_TLS_REQUIRED_SERVER_NAME()
    const escaped = servername.replace(/([.^$+?\-\\[\]{}])/g, '\\$1').replaceAll('*', '[^.]*')
    const secureContext = context instanceof SecureContext ? context : createSecureContext(context)
    this._contexts.push([new RegExp(`^${escaped}$`, 'i'), secureContext])
    this[kConfigs].clear()
  },

  // What the workers of a cluster have in common (node:cluster asks for it).
  _getServerData () {
    return { ticketKeys: this.getTicketKeys().toString('hex') }
  },

  _setServerData (data) {
    if (data?.ticketKeys) this.setTicketKeys(Buffer.from(data.ticketKeys, 'hex'))
  },

  _contextFor (servername) {
    return this._contexts.findLast(([pattern]) => pattern.test(servername))?.[1]
  },

  /** What the addon is told of a connection; the same for all that ask the same questions. */
  nativeConfig (socket) {
    const questions = wanted(socket)
    const name = questions.join()
    let config = this[kConfigs].get(name)
    if (config === undefined) {
      config = native.NativeServerConfig.create(serverOptions({
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
    }
    return config
  },

  /** Connections as they become secure: `for await (const socket of server)`. */
  async * [Symbol.asyncIterator] () {
    const waiting = []
    let wake
    const arrived = (socket) => { waiting.push(socket); wake?.() }
    const closed = () => wake?.()
    this.on('secureConnection', arrived)
    this.once('close', closed)
    try {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift()
        if (!this.listening) return
        await new Promise((resolve) => { wake = resolve })
      }
    } finally {
      this.off('secureConnection', arrived)
      this.off('close', closed)
    }
  }
}
for (const name of Reflect.ownKeys(methods)) {
  Object.defineProperty(Server.prototype, name, { value: methods[name], writable: true, configurable: true, enumerable: typeof name === 'string' })
}

/** The manual: "a 128 bit truncated SHA1 hash value generated from the command-line". */
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

module.exports = { Server: /** @type {any} */ (Server), createServer }

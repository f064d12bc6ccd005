'use strict'

// tls.connect.

const net = require('node:net')

const { convertALPNProtocols } = require('./alpn')
const { allowsUnauthorized, settings } = require('./defaults')
const { codes, fromNative } = require('./errors')
const { checkServerIdentity } = require('./identity')
const { TLSSocket } = require('./tls-socket')
const { kConnectOptions, kIsVerified, kNative, kPendingSession } = require('./symbols')
const { createSecureContext } = require('./secure-context')
const { validateFunction, validateNumber } = require('./validators')

let warnedOfIp = false

/** All forms of the arguments: (options), (path[, options]), (port[, host][, options]), each with a callback. */
function normalize (words) {
  const [first, second, third] = words
  const callback = typeof words.at(-1) === 'function' ? words.at(-1) : undefined
  const options = {}
  if (first !== null && typeof first === 'object') Object.assign(options, first)
  else if (isPort(first)) options.port = first
  else if (first !== undefined && typeof first !== 'function') options.path = first
  if (options.port !== undefined && typeof second === 'string' && typeof first !== 'object') options.host = second
  if (second !== null && typeof second === 'object') Object.assign(options, second)
  else if (third !== null && typeof third === 'object') Object.assign(options, third)
  return { options, callback }
}

function isPort (value) {
  return typeof value === 'number' || (typeof value === 'string' && value !== '' && Number.isInteger(Number(value)) && Number(value) >= 0)
}

/**
 * @param {...any} words
 * @returns {any}
 */
function connect (...words) {
  const { options: given, callback } = normalize(words)
  const allows = allowsUnauthorized()
  /** @type {any} */
  const options = { rejectUnauthorized: !allows, minDHSize: 1024, ...given }
  // What is defined as undefined means the default (CVE-2021-22939).
  if (options.rejectUnauthorized === undefined) options.rejectUnauthorized = !allows
  // A check that the program has put in the place of the module's own counts like an option.
  options.checkServerIdentity ??= settings.checkServerIdentity === checkServerIdentity ? undefined : settings.checkServerIdentity
  if (options.checkServerIdentity === undefined || options.checkServerIdentity === checkServerIdentity) delete options.checkServerIdentity
  else validateFunction(options.checkServerIdentity, 'options.checkServerIdentity')
  if (!options.keepAlive) options.singleUse = true
  validateNumber(options.minDHSize, 'options.minDHSize', 1)
  const context = options.secureContext ?? createSecureContext(options)
  const ALPN = {}
  if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, ALPN)

  const socket = new TLSSocket(undefined, {
    ...options,
    ...ALPN,
    allowHalfOpen: options.socket ? options.socket.allowHalfOpen : Boolean(options.allowHalfOpen),
    pipe: Boolean(options.path),
    secureContext: context,
    isServer: false,
    requestCert: true
  })
  options.rejectUnauthorized = options.rejectUnauthorized !== false
  socket[kConnectOptions] = options
  if (typeof callback === 'function') socket.once('secureConnect', callback)
  setName(socket, options)
  if (options.session) socket.setSession(options.session)
  socket.on('secure', onSecure)
  begin(socket, options)
  return socket
}

/** The name that is sent (SNI); an address is not one (RFC 6066 §3). */
function setName (socket, options) {
  const { servername } = options
  if (!servername) return
  if (!warnedOfIp && net.isIP(servername)) {
    warnedOfIp = true
    process.emitWarning(
      'Setting the TLS ServerName to an IP address is not permitted by RFC 6066. This will be ignored in a future version.',
      'DeprecationWarning', 'DEP0123')
  }
  socket.setServername(servername)
}

function begin (socket, options) {
  if (options.socket) {
    socket._carry(options.socket)
    return
  }
  if (options.timeout) socket.setTimeout(options.timeout)
  if (options.host === undefined && options.path === undefined && options.port === undefined) {
    throw codes.ERR_MISSING_ARGS(['options', 'port', 'path'])
  }
  socket.connect(options)
}

/**
 * The handshake of a client is done: what Node.js's `onConnectSecure` does.
 * @this {any}
 */
function onSecure () {
  const options = this[kConnectOptions]
  if (this[kIsVerified]) return
  const native = this[kNative].authorizationError()
  const objection = this._objection ?? (native && fromNative(native))
  this.authorized = objection === null
  this.authorizationError = objection && (objection.code || objection.message)
  if (options.rejectUnauthorized && objection !== null) return this.destroy(objection)
  this.secureConnecting = false
  this._releaseControl()
  this.emit('secureConnect')
  this[kIsVerified] = true
  const session = this[kPendingSession]
  this[kPendingSession] = null
  if (session) this.emit('session', session)
}

module.exports = { checkServerIdentity, connect, normalize }

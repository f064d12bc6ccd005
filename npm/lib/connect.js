'use strict'

// tls.connect.

const net = require('node:net')

const { wireForm } = require('./alpn')
const { allowsUnauthorized, settings } = require('./defaults')
const { codes, fromNative } = require('./errors')
const { checkServerIdentity } = require('./identity')
const { TLSSocket } = require('./tls-socket')
const { kConnectOptions, kIsVerified, kNative, kPendingSession } = require('./symbols')
const { validateFunction, validateNumber } = require('./validators')

const IS_NODE_20 = process.versions.node.startsWith('20.')

let warnedOfIp = false

const isObject = (value) => value !== null && typeof value === 'object'

/** All forms of the arguments: (options), (path[, options]), (port[, host][, options]), each with a callback. */
function normalize (words) {
  const [first, second, third] = words
  const callback = typeof words.at(-1) === 'function' ? words.at(-1) : undefined
  const options = place(first, second)
  if (isObject(second)) Object.assign(options, second)
  else if (isObject(third)) Object.assign(options, third)
  return { options, callback }
}

/** Whatever is neither options nor a path is a port, and net.Socket says what is wrong with it. */
function place (first, second) {
  if (isObject(first)) return { ...first }
  if (typeof first === 'string' && !(Number(first) >= 0)) return { path: first }
  return { port: first, ...typeof second === 'string' && { host: second } }
}

/**
 * @param {...any} words
 * @returns {any}
 */
function connect (...words) {
  const { options: given, callback } = normalize(words)
  const allows = allowsUnauthorized()
  /** @type {any} */
  const options = { rejectUnauthorized: !allows, ciphers: settings.DEFAULT_CIPHERS, minDHSize: 1024, ...given }
  // What is defined as undefined means the default (CVE-2021-22939).
  if (options.rejectUnauthorized === undefined) options.rejectUnauthorized = !allows
  if ('checkServerIdentity' in given) validateFunction(given.checkServerIdentity, 'options.checkServerIdentity')
  // A check that the program has put in the place of the module's own counts like an option.
  options.checkServerIdentity ??= settings.checkServerIdentity ?? checkServerIdentity
  if (options.checkServerIdentity === checkServerIdentity) delete options.checkServerIdentity
  if (!options.keepAlive) options.singleUse = true
  checkDHSize(options.minDHSize)
  checkForNul(options)
  const context = options.secureContext || settings.createSecureContext(options)
  const ALPN = options.ALPNProtocols ? { ALPNProtocols: wireForm(options.ALPNProtocols) } : {}

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
  // A client's errors are the program's from the beginning.
  socket._releaseControl()
  begin(socket, options)
  return socket
}

/** The words are those of the Node.js that runs this: version 20 has others than those after it. */
function checkDHSize (size) {
  if (IS_NODE_20 && typeof size !== 'number') throw codes.ERR_INTERNAL_ASSERTION(`options.minDHSize is not a number: ${String(size)}`)
  if (IS_NODE_20 && !(size > 0)) throw codes.ERR_INTERNAL_ASSERTION(`options.minDHSize is not a positive number: ${size}`)
  validateNumber(size, 'options.minDHSize', 1)
}

/** Resolvers written in C would stop at a NUL, and find another host than the one that is checked (CVE-2026-48930). */
function checkForNul (options) {
  for (const name of ['host', 'servername']) {
    const value = options[name]
    if (typeof value !== 'string' || !value.includes('\0')) continue
    throw codes.ERR_INVALID_ARG_VALUE(`options.${name}`, value, 'must be a string without null bytes')
  }
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
  // After a renegotiation, which the core has judged.
  if (this[kIsVerified]) return void this.emit('secureConnect')
  const native = this[kNative].authorizationError()
  const objection = this._objection ?? (native && fromNative(native))
  this.authorized = objection === null
  this.authorizationError = objection && (objection.code || objection.message)
  if (options.rejectUnauthorized && objection !== null) return this.destroy(objection)
  this.secureConnecting = false
  this.emit('secureConnect')
  this[kIsVerified] = true
  const session = this[kPendingSession]
  this[kPendingSession] = null
  if (session) this.emit('session', session)
}

module.exports = { checkServerIdentity, connect, normalize }

'use strict'

// What a TLSSocket can tell, and what can be asked of it, besides moving bytes.

const { X509Certificate } = require('node:crypto')

const { certificateObject, peerCertificateObject, x509WithIssuers } = require('./certificates')
const { settings, wantsKeyLog } = require('./defaults')
const { codes, fromNative } = require('./errors')
const { validateBuffer, validateFunction, validateInt32, validateObject, validateString, validateUint32 } = require('./validators')
const { SecureContext } = require('./secure-context')
const { checkSession } = require('./socket-options')
const { kBeforehand, kEngine, kIsStale, kNative, kRenegotiating } = require('./symbols')

/** In bytes. */
const SMALLEST_FRAGMENT = 512
const LARGEST_FRAGMENT = 16384

/** The addon's connection while the socket is alive, or null. */
const connectionOf = (socket) => socket.destroyed ? null : socket[kNative]

/** What the connection says; a socket without one has nothing to tell yet, and one that is destroyed gives null. */
function fact (socket, ask, nothing) {
  if (socket.destroyed) return null
  return (socket[kNative] && ask(socket[kNative])) ?? nothing
}

/** The socket's own certificate in DER: the connection's, or the one that its context would show. */
function ownCertificate (socket) {
  if (socket[kNative]) return socket[kNative].certificate()
  const { secureContext } = socket._tlsOptions
  return (secureContext.context ?? secureContext).getCertificate()
}

/** Sets something of the connection, and of the one that takes its place before the handshake begins. */
function set (socket, setting) {
  if (!socket[kEngine]?.transport) (socket[kBeforehand] ??= []).push(setting)
  const connection = connectionOf(socket)
  if (connection) setting(connection)
}

const methods = {
  getCipher () {
    return fact(this, (connection) => connection.cipher())
  },

  getProtocol () {
    const connection = connectionOf(this)
    if (connection === null) return null
    return connection.protocol() ?? 'unknown'
  },

  getEphemeralKeyInfo () {
    if (this._tlsOptions.isServer) return null
    const info = fact(this, (connection) => connection.ephemeralKeyInfo(), {})
    // A key encapsulation has no size, as in Node.js.
    if (info?.type === 'TLSGroup') info.size = undefined
    return info
  },

  getFinished () {
    return fact(this, (connection) => connection.finished())
  },

  getPeerFinished () {
    return fact(this, (connection) => connection.peerFinished())
  },

  getSession () {
    return fact(this, (connection) => connection.session())
  },

  getTLSTicket () {
    return fact(this, (connection) => connection.sessionTicket())
  },

  isSessionReused () {
    return fact(this, (connection) => connection.isSessionReused(), false)
  },

  getSharedSigalgs () {
    return fact(this, (connection) => connection.sharedSigalgs(), [])
  },

  getPeerCertificate (detailed) {
    const isDetailed = detailed === true
    const chain = fact(this, (connection) => isDetailed ? connection.peerCertificateChain() : connection.peerCertificates(), [])
    if (chain === null) return null
    return chain.length === 0 ? {} : peerCertificateObject(chain, isDetailed)
  },

  getCertificate () {
    if (this.destroyed) return null
    const der = ownCertificate(this)
    return der ? certificateObject(der) : {}
  },

  getPeerX509Certificate () {
    return x509WithIssuers(connectionOf(this)?.peerCertificates() ?? [])
  },

  getX509Certificate () {
    const der = this.destroyed ? null : ownCertificate(this)
    return der ? new X509Certificate(der) : undefined
  },

  exportKeyingMaterial (length, label, context) {
    validateUint32(length, 'length', true)
    validateString(label, 'label')
    if (context !== undefined) validateBuffer(context, 'context')
    if (!this._secureEstablished) throw codes.ERR_TLS_INVALID_STATE()
    try {
      return this[kNative].exportKeyingMaterial(length, Buffer.from(label), context && Buffer.from(context.buffer, context.byteOffset, context.byteLength))
    } catch (error) {
      // As for a context, Node.js names no function.
      throw error.native ? fromNative({ ...error.native, kind: 'config' }) : error
    }
  },

  setMaxSendFragment (size) {
    validateInt32(size, 'size')
    if (this.destroyed) return false
    set(this, (connection) => connection.setMaxSendFragment(size))
    return size >= SMALLEST_FRAGMENT && size <= LARGEST_FRAGMENT
  },

  setServername (name) {
    validateString(name, 'name')
    if (this._tlsOptions.isServer) throw codes.ERR_TLS_SNI_FROM_SERVER()
    this._servername = name
    this[kIsStale] = true
  },

  setSession (session) {
    if (typeof session === 'string') session = Buffer.from(session, 'latin1')
    if (session) checkSession(session)
    this._session = session
    this[kIsStale] = true
  },

  setKeyCert (context) {
    const identity = context instanceof SecureContext ? context : settings.createSecureContext(context)
    const { secureContext } = this._tlsOptions
    const own = secureContext ? secureContext.context.withIdentityOf(identity.context) : identity.context
    // What was shown in the handshake has been shown.
    if (this._secureEstablished) return
    if (!this._tlsOptions.isServer) {
      this._tlsOptions.secureContext = { context: own }
      this[kIsStale] = true
      return
    }
    try {
      connectionOf(this)?.setContext(own.nativeFor(wantsKeyLog(this)))
    } catch (error) {
      throw error.native ? fromNative(error.native) : error
    }
  },

  disableRenegotiation () {
    set(this, (connection) => connection.disableRenegotiation())
  },

  enableTrace () {
    this._tlsOptions.enableTrace = true
    connectionOf(this)?.enableTrace()
  },

  renegotiate (options, callback) {
    if (options === null || typeof options !== 'object') throw codes.ERR_INVALID_ARG_TYPE('options', 'Object', options)
    validateObject(options, 'options')
    if (callback !== undefined) validateFunction(callback, 'callback')
    if (this.destroyed) return undefined
    if (!this._secureEstablished) {
      if (callback) process.nextTick(callback, codes.ERR_TLS_RENEGOTIATE())
      return false
    }
    return renegotiate(this, options, callback)
  }
}

function renegotiate (socket, options, callback) {
  if (options.requestCert !== undefined) socket._requestCert = Boolean(options.requestCert)
  if (options.rejectUnauthorized !== undefined) socket._rejectUnauthorized = Boolean(options.rejectUnauthorized)
  const changed = options.requestCert !== undefined || options.rejectUnauthorized !== undefined
  try {
    socket[kNative].renegotiate(changed ? socket._requestCert : null, changed ? socket._rejectUnauthorized : null)
  } catch (error) {
    if (callback) process.nextTick(callback, error.native ? fromNative(error.native) : error)
    return false
  }
  if (callback) socket[kRenegotiating] = callback
  socket[kEngine].step()
  return true
}

/** Puts the methods on a prototype. */
function installFacts (prototype) {
  for (const [name, method] of Object.entries(methods)) {
    Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true, enumerable: true })
  }
}

module.exports = { installFacts }

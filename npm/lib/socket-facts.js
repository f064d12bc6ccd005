'use strict'

// What a TLSSocket can tell, and what can be asked of it, besides moving bytes.

const { X509Certificate } = require('node:crypto')

const { peerCertificateObject, certificateObject } = require('./certificates')
const { wantsKeyLog } = require('./defaults')
const { codes, fromNative } = require('./errors')
const { validateBuffer, validateFunction, validateNumber, validateObject, validateString, validateUint32 } = require('./validators')
const { SecureContext, createSecureContext } = require('./secure-context')
const { checkSession } = require('./socket-options')
const { kEngine, kIsStale, kNative, kRenegotiating } = require('./symbols')

/** The addon's connection while the socket is alive, or null. */
const connectionOf = (socket) => socket.destroyed ? null : socket[kNative]

const methods = {
  getCipher () {
    return connectionOf(this)?.cipher() ?? (this.destroyed ? null : undefined)
  },

  getProtocol () {
    const connection = connectionOf(this)
    if (connection === null) return null
    return connection.protocol() ?? 'unknown'
  },

  getEphemeralKeyInfo () {
    const connection = connectionOf(this)
    if (connection === null || this._tlsOptions.isServer) return null
    return connection.ephemeralKeyInfo() ?? {}
  },

  getFinished () {
    return connectionOf(this)?.finished() ?? undefined
  },

  getPeerFinished () {
    return connectionOf(this)?.peerFinished() ?? undefined
  },

  getSession () {
    return connectionOf(this)?.session() ?? undefined
  },

  getTLSTicket () {
    return connectionOf(this)?.sessionTicket() ?? undefined
  },

  isSessionReused () {
    return connectionOf(this)?.isSessionReused() ?? false
  },

  getSharedSigalgs () {
    return connectionOf(this)?.sharedSigalgs() ?? null
  },

  getPeerCertificate (detailed) {
    const connection = connectionOf(this)
    if (connection === null) return null
    const chain = detailed && connection.peerCertificateChain ? connection.peerCertificateChain() : connection.peerCertificates()
    return chain.length === 0 ? {} : peerCertificateObject(chain, Boolean(detailed))
  },

  getCertificate () {
    const connection = connectionOf(this)
    if (connection === null) return null
    const der = connection.certificate()
    return der === null ? {} : certificateObject(der)
  },

  getPeerX509Certificate () {
    const [der] = connectionOf(this)?.peerCertificates() ?? []
    return der && new X509Certificate(der)
  },

  getX509Certificate () {
    const der = connectionOf(this)?.certificate()
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
      throw error.native ? fromNative(error.native) : error
    }
  },

  setMaxSendFragment (size) {
    validateNumber(size, 'size')
    return connectionOf(this)?.setMaxSendFragment(size) ?? false
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
    const identity = context instanceof SecureContext ? context : createSecureContext(context)
    const { secureContext } = this._tlsOptions
    const settings = secureContext ? secureContext.context.withIdentityOf(identity.context) : identity.context
    try {
      connectionOf(this)?.setContext(settings.nativeFor(wantsKeyLog(this)))
    } catch (error) {
      throw error.native ? fromNative(error.native) : error
    }
  },

  disableRenegotiation () {
    connectionOf(this)?.disableRenegotiation()
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

'use strict'
// STAND-IN by the architect; J2 replaces it. Keep the exports.
const native = require('./generated')
const { codes } = require('./errors')
const all = (v) => v === undefined || v === null ? undefined : (Array.isArray(v) ? v : [v]).map((x) => Buffer.isBuffer(x) ? x : Buffer.from(x))
class SecureContext { constructor (n) { this.context = { native: n } } }
function createSecureContext (o = {}) {
  const key = all(o.key)?.map((pem) => ({ pem, passphrase: o.passphrase && Buffer.from(o.passphrase) }))
  return new SecureContext(native.NativeContext.create({ ca: all(o.ca), cert: all(o.cert), key, ciphers: o.ciphers, minVersion: o.minVersion, maxVersion: o.maxVersion, sessionTimeout: o.sessionTimeout, secureOptions: o.secureOptions, externalKey: o.externalKey }))
}
/** The addon's context of a SecureContext, of its inner object, or TypeError. */
function secureContextOf (value) {
  const n = value?.context?.native ?? value?.native
  if (!n) throw codes.ERR_TLS_INVALID_CONTEXT('context')
  return n
}
function nativeContext (o) { return secureContextOf(o.secureContext ?? createSecureContext(o)) }
module.exports = { SecureContext, createSecureContext, nativeContext, secureContextOf }

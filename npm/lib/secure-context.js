'use strict'

// tls.createSecureContext: checks every option as Node.js does, in the same order, and makes a context of them.

const { constants } = require('node:crypto')
const { ContextSettings, TICKET_KEYS } = require('./context-settings')
const { toBuffer, toFiles, toKeys, toPem, toPems } = require('./credentials')
const { settings } = require('./defaults')
const { primeBits } = require('./dh-size')
const { codes, plain } = require('./errors')
const { validateArray, validateBuffer, validateInt32, validateInteger, validateObject, validateString } = require('./validators')

const VERSIONS = new Set(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'])
const METHOD = /^(?:SSLv23|TLS|TLSv1|TLSv1_1|TLSv1_2)_(?:server_|client_)?method$/
const GONE = /^(SSLv[23])_(?:server_|client_)?method$/

const given = (value) => value !== undefined && value !== null

function version (which, value, otherwise) {
  const chosen = value ?? otherwise
  if (!VERSIONS.has(chosen)) throw codes.ERR_TLS_INVALID_PROTOCOL_VERSION(chosen, which)
  return chosen
}

function checkMethod (name) {
  const gone = GONE.exec(name)
  if (gone) throw codes.ERR_TLS_INVALID_PROTOCOL_METHOD(`${gone[1]} methods disabled`)
  if (!METHOD.test(name)) throw codes.ERR_TLS_INVALID_PROTOCOL_METHOD(`Unknown method: ${name}`)
}

function versions (secureProtocol, minVersion, maxVersion) {
  if (secureProtocol) {
    for (const one of [minVersion, maxVersion]) {
      if (given(one)) throw codes.ERR_TLS_PROTOCOL_VERSION_CONFLICT(one, secureProtocol)
    }
  }
  const range = {
    minVersion: version('minimum', minVersion, settings.DEFAULT_MIN_VERSION),
    maxVersion: version('maximum', maxVersion, settings.DEFAULT_MAX_VERSION)
  }
  if (typeof secureProtocol !== 'string') return range
  checkMethod(secureProtocol)
  // Node.js goes up to 1.2 by this name, and down to where it goes without one.
  if (secureProtocol.startsWith('SSLv23_')) return { ...range, maxVersion: 'TLSv1.2' }
  return { secureProtocol }
}

/**
 * What connections share; made by `createSecureContext`.
 * @param {string} [secureProtocol]
 * @param {number} [secureOptions]
 * @param {string} [minVersion]
 * @param {string} [maxVersion]
 */
function SecureContext (secureProtocol, secureOptions, minVersion, maxVersion) {
  if (!(this instanceof SecureContext)) return new SecureContext(secureProtocol, secureOptions, minVersion, maxVersion)
  const range = versions(secureProtocol, minVersion, maxVersion)
  this.context = new ContextSettings()
  this.context.init(range)
  if (secureOptions) {
    validateInteger(secureOptions, 'secureOptions')
    this.context.setOptions(secureOptions)
  }
}

// ---- one function an option, in the order in which they are looked at ----

function authorities (context, { ca }) {
  if (ca) context.setCredentials({ ca: toPems(ca, 'options.ca') })
  else context.addRootCerts()
}

function identity (context, { cert, key, passphrase }) {
  if (cert) context.setCredentials({ cert: toPems(cert, 'options.cert') })
  if (key) context.setCredentials({ key: toKeys(key, passphrase, 'options') })
}

function signatureAlgorithms (context, { sigalgs }) {
  if (!given(sigalgs)) return
  validateString(sigalgs, 'options.sigalgs')
  if (sigalgs === '') throw codes.ERR_INVALID_ARG_VALUE('options.sigalgs', sigalgs)
  context.init({ sigalgs })
}

function keyOfEngine (context, { privateKeyIdentifier, privateKeyEngine, key }) {
  if (!given(privateKeyIdentifier)) return
  if (!given(privateKeyEngine)) throw codes.ERR_INVALID_ARG_VALUE('options.privateKeyEngine', privateKeyEngine)
  if (key) throw codes.ERR_INVALID_ARG_VALUE('options.privateKeyIdentifier', privateKeyIdentifier)
  engineName('options.privateKeyIdentifier', privateKeyIdentifier)
  engineName('options.privateKeyEngine', privateKeyEngine)
  throw codes.ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED()
}

function engineName (name, value) {
  if (typeof value !== 'string') throw codes.ERR_INVALID_ARG_TYPE(name, ['string', 'null', 'undefined'], value)
}

const SUITES_OF_TLS_1_3 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'

function cipherSuites (context, { ciphers }) {
  if (given(ciphers)) validateString(ciphers, 'options.ciphers')
  const list = ciphers || settings.DEFAULT_CIPHERS
  validateString(list, 'options.ciphers')
  const names = list.split(':')
  if (names.every((name) => name === '')) throw codes.ERR_INVALID_ARG_VALUE('options.ciphers', names)
  // Not what the manual says: where Node.js is given none of these names, they stay as OpenSSL has them.
  const isSilent = !names.some((name) => /^!?TLS_/.test(name))
  context.init({ ciphers: isSilent ? `${list}:${SUITES_OF_TLS_1_3}` : list })
}

function curves (context, { ecdhCurve = settings.DEFAULT_ECDH_CURVE }) {
  validateString(ecdhCurve, 'options.ecdhCurve')
  if (ecdhCurve === '') throw codes.ERR_CRYPTO_OPERATION_FAILED('Failed to set ECDH curve')
  context.init({ ecdhCurve })
}

function diffieHellman (context, { dhparam }) {
  if (!given(dhparam)) return
  if (dhparam === 'auto') return context.init({ dhparam })
  const pem = toPem(dhparam, 'options.dhparam', 'DH PARAMETERS')
  if (primeBits(pem) < 2048) weakParameters(primeBits(pem))
  context.init({ dhparam: pem })
}

function weakParameters (bits) {
  if (bits < 1024) throw plain(new TypeError('DH parameter is less than 1024 bits'), 'ERR_INVALID_ARG_VALUE')
  process.emitWarning('DH parameter is less than 2048 bits', 'SecurityWarning')
}

function revocation (context, { crl }) {
  if (given(crl)) context.setCredentials({ crl: toPems(crl, 'options.crl', 'X509 CRL') })
}

function sessionContext (context, { sessionIdContext }) {
  if (!given(sessionIdContext)) return
  validateString(sessionIdContext, 'options.sessionIdContext')
  context.setSessionIdContext(sessionIdContext)
}

function files (context, { pfx, passphrase }) {
  if (given(pfx)) context.setCredentials({ pfx: toFiles(pfx, passphrase) })
}

function engineOfClient (context, { clientCertEngine }) {
  if (!given(clientCertEngine)) return
  engineName('options.clientCertEngine', clientCertEngine)
  throw codes.ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED()
}

function tickets (context, { ticketKeys }) {
  if (!given(ticketKeys)) return
  validateBuffer(ticketKeys, 'options.ticketKeys')
  if (ticketKeys.byteLength !== TICKET_KEYS) {
    throw codes.ERR_INVALID_ARG_VALUE('options.ticketKeys', ticketKeys.byteLength, 'must be exactly 48 bytes')
  }
  context.setTicketKeys(toBuffer(ticketKeys))
}

function lifetime (context, { sessionTimeout }) {
  if (!given(sessionTimeout)) return
  validateInt32(sessionTimeout, 'options.sessionTimeout', 0)
  context.setSessionTimeout(sessionTimeout)
}

const COMPRESSIONS = ['zlib', 'brotli', 'zstd']

/** Checked only: certificates go uncompressed, which every peer takes. */
function compression (context, { certificateCompression }) {
  if (!given(certificateCompression)) return
  validateArray(certificateCompression, 'options.certificateCompression')
  certificateCompression.forEach((name, index) => {
    if (COMPRESSIONS.includes(name)) return
    throw codes.ERR_INVALID_ARG_VALUE(`options.certificateCompression[${index}]`, name, "must be 'zlib', 'brotli', or 'zstd'")
  })
  if (new Set(certificateCompression).size === certificateCompression.length) return
  throw codes.ERR_CRYPTO_OPERATION_FAILED('Failed to set certificate compression preference')
}

function beyondTheManual (context, { allowPartialTrustChain, externalKey, sessionTickets }) {
  if (allowPartialTrustChain) context.setAllowPartialTrustChain()
  if (externalKey) context.init({ externalKey: true })
  if (!given(sessionTickets)) return
  validateInt32(sessionTickets, 'options.sessionTickets', 0, 16)
  context.init({ sessionTickets })
}

const STEPS = [authorities, identity, signatureAlgorithms, keyOfEngine, cipherSuites, curves, diffieHellman, revocation,
  sessionContext, files, engineOfClient, tickets, lifetime, compression, beyondTheManual]

/**
 * @param {any} [options]
 * @returns {any}
 */
function createSecureContext (options) {
  if (!options) options = {}
  const { honorCipherOrder, minVersion, maxVersion, secureProtocol } = options
  const bits = honorCipherOrder ? options.secureOptions | constants.SSL_OP_CIPHER_SERVER_PREFERENCE : options.secureOptions
  const made = new SecureContext(secureProtocol, bits, minVersion, maxVersion)
  validateObject(options, 'options')
  if (honorCipherOrder !== undefined) made.context.init({ honorCipherOrder: Boolean(honorCipherOrder) })
  for (const step of STEPS) step(made.context, options)
  check(made)
  return made
}

/** Makes the addon's context, so that what is wrong is told now. */
function check ({ context }) {
  try {
    context.nativeFor(false)
  } catch (error) {
    if (error?.code !== 'ERR_SSL_NO_PROTOCOLS_AVAILABLE') throw error
  }
}

/** Whether it is a SecureContext, or what that holds. */
function isContext (value) {
  return (value?.context ?? value) instanceof ContextSettings
}

/**
 * The addon's context of a SecureContext, or of what that holds.
 * @param {any} value
 * @param {boolean} [keyLog] whether its connections tell of key material
 */
function secureContextOf (value, keyLog = false) {
  if (!isContext(value)) throw codes.ERR_TLS_INVALID_CONTEXT('context')
  return (value.context ?? value).nativeFor(keyLog)
}

/**
 * The addon's context of options: their `secureContext`, or one that is made of them.
 * @param {any} options
 * @param {boolean} [keyLog] whether its connections tell of key material
 */
function nativeContext (options, keyLog) {
  return secureContextOf(options.secureContext ?? (options instanceof SecureContext ? options : createSecureContext(options)), keyLog)
}

module.exports = { SecureContext, createSecureContext, isContext, nativeContext, secureContextOf }

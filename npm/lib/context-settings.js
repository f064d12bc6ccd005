'use strict'

// What a SecureContext holds as `context`: the settings, and the addon's contexts made of them. Packages change it after
// it was made (`addCACert`, `setCert`, …); then the addon's contexts are made anew when they are needed.

const { X509Certificate } = require('node:crypto')
const native = require('./generated')
const { certificatesOf, defaultTrust } = require('./authorities')
const { toBuffer, toFiles, toKey, toPem } = require('./credentials')
const { codes, fromNative, plain } = require('./errors')
const { validateBuffer } = require('./validators')

const TICKET_KEYS = 48

/** Errors that Node.js words by itself. */
const WORDS = {
  crl: () => codes.ERR_CRYPTO_OPERATION_FAILED('Failed to parse CRL'),
  ecdhCurve: () => codes.ERR_CRYPTO_OPERATION_FAILED('Failed to set ECDH curve'),
  pfx: (failure) => failure.code.startsWith('ERR_CRYPTO_') ? fromNative(failure) : unreadablePfx(failure),
  sigalgs: (failure, options) => codes.ERR_INVALID_ARG_VALUE('options.sigalgs', options.sigalgs)
}

/** What was cut off; OpenSSL, which Node.js has read from a stream, misses its end. */
const CUT_OFF = new Set(['ERR_OSSL_ASN1_TOO_LONG', 'ERR_OSSL_ASN1_TOO_SMALL'])

/** Without a code, as Node.js has it. */
function unreadablePfx ({ code, reason, message }) {
  return plain(new Error(CUT_OFF.has(code) ? 'not enough data' : reason ?? message))
}

function toError (error, options) {
  const failure = error?.native
  if (!failure) return error
  // Each version is possible, but not together: as in Node.js, connections fail.
  if (failure.option === 'minVersion') {
    return Object.assign(codes.ERR_SSL_NO_PROTOCOLS_AVAILABLE(), { library: 'SSL routines', reason: 'no protocols available' })
  }
  return WORDS[failure.option]?.(failure, options) ?? fromNative(failure)
}

function sameBytes (some, others) {
  return some.length === others.length && some.every((one, index) => one.equals(others[index]))
}

const VERSIONS = new Map([[0x301, 'TLSv1'], [0x302, 'TLSv1.1'], [0x303, 'TLSv1.2'], [0x304, 'TLSv1.3']])
const [LOWEST, HIGHEST] = [0x301, 0x304]

const numberOf = (version) => [...VERSIONS.keys()].find((number) => VERSIONS.get(number) === version) ?? 0

/** The versions that a method stands for. */
function rangeOfMethod (name) {
  if (name.startsWith('TLS_')) return { minVersion: 0, maxVersion: HIGHEST }
  const only = { TLSv1: 0x301, TLSv1_1: 0x302 }[name.replace(/_(?:server_|client_)?method$/, '')] ?? 0x303
  return { minVersion: only, maxVersion: only }
}

class ContextSettings {
  #options = { cert: [], key: [], pfx: [], crl: [] }
  /** Added to the default authorities, or instead of them. */
  #ca = []
  #trustsDefault = false
  #ticketKeys = undefined
  #sessionIdContext = undefined
  /** The addon's contexts: without key material told, and with it. */
  #made = []

  /** @param {object} options of the addon's context */
  init (options) {
    this.#change(options)
  }

  #change (options) {
    Object.assign(this.#options, options)
    this.#made.length = 0
  }

  /** The addon's context, for connections that want nothing special. */
  get native () {
    return this.nativeFor(false)
  }

  /** The addon's context, and whether its connections tell of key material. */
  nativeFor (keyLog) {
    return (this.#made[Number(keyLog)] ??= this.#make(keyLog))
  }

  #make (keyLog) {
    const options = { ...this.#options, keyLog }
    try {
      return this.#create(options)
    } catch (error) {
      if (!this.#dropUnreadable(error?.native)) throw toError(error, options)
    }
    return this.#make(keyLog)
  }

  #create (options) {
    return native.NativeContext.create({ ...options, ...this.#trust(this.#ca) })
  }

  /** As in Node.js, what cannot be read is no authority and no parameter, and no error. Whether something was dropped. */
  #dropUnreadable (failure) {
    if (failure?.option === 'dhparam' && failure.library === 'PEM routines') {
      delete this.#options.dhparam
      return true
    }
    if (failure?.option !== 'ca' && failure?.option !== 'extra_ca') return false
    const before = this.#ca
    this.#ca = before.flatMap((pem) => certificatesOf(pem.toString('latin1'))).map((pem) => Buffer.from(pem))
    return !sameBytes(before, this.#ca)
  }

  #trust (ca) {
    return this.#trustsDefault ? defaultTrust(ca) : { ca }
  }

  /** Whether the addon takes it; what it refuses is not kept. */
  #checked (options) {
    try {
      native.NativeContext.create({ ca: [], ...options })
    } catch (error) {
      throw toError(error, options)
    }
  }

  addRootCerts () {
    this.#trustsDefault = true
    this.#made.length = 0
  }

  addCACert (pem) {
    this.#ca.push(toPem(pem, 'ca'))
    this.#made.length = 0
  }

  addCRL (pem) {
    const crl = toPem(pem, 'crl', 'X509 CRL')
    this.#checked({ crl: [crl] })
    this.#change({ crl: [...this.#options.crl, crl] })
  }

  setCert (pem) {
    const cert = toPem(pem, 'cert')
    this.#checked({ cert: [cert] })
    this.#change({ cert: [...this.#options.cert, cert] })
  }

  setKey (pem, passphrase) {
    const key = toKey(pem, passphrase, 'options')
    this.#checked({ key: [key] })
    this.#change({ key: [...this.#options.key, key] })
  }

  loadPKCS12 (contents, passphrase) {
    const pfx = toFiles(contents, passphrase)
    this.#checked({ pfx })
    this.#change({ pfx: [...this.#options.pfx, ...pfx] })
  }

  /** Certificates, keys and authorities that have been looked at already. */
  setCredentials ({ ca = [], ...credentials }) {
    this.#ca.push(...ca)
    this.#change(credentials)
  }

  /** The same settings with the certificates and keys of others. */
  withIdentityOf (other) {
    const made = new ContextSettings()
    const { cert, key, pfx } = other.#options
    made.#options = { ...this.#options, cert, key, pfx }
    made.#ca = [...this.#ca]
    made.#trustsDefault = this.#trustsDefault
    made.#ticketKeys = this.#ticketKeys
    made.#sessionIdContext = this.#sessionIdContext
    return made
  }

  setCiphers (ciphers) {
    this.#checked({ ciphers })
    this.#change({ ciphers })
  }

  setSigalgs (sigalgs) {
    this.#checked({ sigalgs })
    this.#change({ sigalgs })
  }

  setECDHCurve (ecdhCurve) {
    this.#checked({ ecdhCurve })
    this.#change({ ecdhCurve })
  }

  /** Versions by their numbers; 0 is the lowest, or the highest, that there is. */
  setMinProto (number) {
    this.#setRange({ ...this.#range(), minVersion: number })
  }

  getMinProto () {
    return this.#range().minVersion
  }

  setMaxProto (number) {
    this.#setRange({ ...this.#range(), maxVersion: number })
  }

  getMaxProto () {
    return this.#range().maxVersion
  }

  #range () {
    const { secureProtocol, minVersion, maxVersion } = this.#options
    if (secureProtocol !== undefined) return rangeOfMethod(secureProtocol)
    return { minVersion: numberOf(minVersion), maxVersion: numberOf(maxVersion) }
  }

  #setRange ({ minVersion, maxVersion }) {
    const range = { minVersion: VERSIONS.get(minVersion || LOWEST), maxVersion: VERSIONS.get(maxVersion || HIGHEST) }
    if (range.minVersion === undefined || range.maxVersion === undefined) return
    delete this.#options.secureProtocol
    this.#change(range)
  }

  setOptions (bits) {
    this.#change({ secureOptions: bits })
  }

  setDHParam (given) {
    this.#change({ dhparam: given === true || given === 'auto' ? 'auto' : toPem(given, 'dhparam', 'DH PARAMETERS') })
  }

  setSessionTimeout (sessionTimeout) {
    this.#change({ sessionTimeout })
  }

  setSessionIdContext (text) {
    this.#sessionIdContext = text
  }

  getSessionIdContext () {
    return this.#sessionIdContext
  }

  setTicketKeys (keys) {
    validateBuffer(keys, 'keys')
    if (keys.byteLength !== TICKET_KEYS) throw codes.ERR_INVALID_ARG_VALUE('keys', keys.byteLength, 'must be exactly 48 bytes')
    this.#ticketKeys = toBuffer(keys)
    return true
  }

  /** The keys that were set; undefined where none were. */
  getTicketKeys () {
    return this.#ticketKeys && Buffer.from(this.#ticketKeys)
  }

  setAllowPartialTrustChain () {
    this.#change({ allowPartialTrustChain: true })
  }

  /** The certificate in DER, or null. */
  getCertificate () {
    return this.#leaf()?.raw ?? null
  }

  /** Its issuer's, if that is known, or null. */
  getIssuer () {
    const leaf = this.#leaf()
    if (leaf === undefined) return null
    const known = [...this.#options.cert, ...this.#ca].flatMap((pem) => certificatesOf(pem.toString('latin1')))
    return known.map((pem) => new X509Certificate(pem)).find((one) => leaf.checkIssued(one))?.raw ?? null
  }

  #leaf () {
    const [pem] = this.#options.cert.flatMap((one) => certificatesOf(one.toString('latin1')))
    return pem === undefined ? undefined : new X509Certificate(pem)
  }

  close () {
    this.#made.length = 0
  }
}

module.exports = { ContextSettings, TICKET_KEYS }

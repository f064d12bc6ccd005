'use strict'

// Who is trusted where a context says nothing: Mozilla's roots, those of the system, those that the program has set.

const { X509Certificate } = require('node:crypto')
const fs = require('node:fs')
const native = require('./generated')
const { flags } = require('./defaults')
const { codes } = require('./errors')
const { systemCertificates } = require('./system-certificates')
const { validateArray } = require('./validators')

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** Remembers the first result. */
function once (make) {
  let made
  return () => (made ??= make())
}

/**
 * The certificates of a text that can be read, one by one.
 * @param {string} text
 */
function certificatesOf (text) {
  const found = []
  for (const [pem] of text.matchAll(CERTIFICATE)) {
    try {
      found.push(new X509Certificate(pem).toString())
    } catch {
      // As in Node.js, what is no certificate is nobody's authority.
    }
  }
  return found
}

// Without the line's end, as Node.js has them.
const bundled = once(() => Object.freeze(native.rootCertificates().map((pem) => pem.trimEnd())))
const system = once(() => Object.freeze(systemCertificates(certificatesOf)))
const extra = once(() => Object.freeze(readExtra()))

function readExtra () {
  if (flags.extraAuthorities === undefined) return []
  try {
    return certificatesOf(fs.readFileSync(flags.extraAuthorities, 'utf8'))
  } catch (error) {
    process.emitWarning(`Ignoring extra certs from \`${flags.extraAuthorities}\`, load failed: ${reasonOf(error)}`)
    return []
  }
}

/** Why a file could not be read, in OpenSSL's words. */
function reasonOf ({ errno, message }) {
  const text = /^E\w+: ([^,]*)/.exec(message)?.[1]
  if (!text || !errno) return message
  const number = (0x80000000 + Math.abs(errno)).toString(16).toUpperCase()
  return `error:${number}:system library::${text[0].toUpperCase()}${text.slice(1)}`
}

/** What `setDefaultCACertificates` was given, or null. */
let replaced = null
/** The same as one text. */
let replacedText = () => []

/** As the parts are in the other lists, so that whoever compares them finds each. */
const usual = once(() => {
  const first = flags.opensslAuthorities ? system() : bundled()
  const second = flags.systemAuthorities && !flags.opensslAuthorities ? system() : []
  return Object.freeze([...new Set([...first, ...second, ...extra()])])
})

const defaultCertificates = () => replaced ?? usual()

const KINDS = { default: defaultCertificates, bundled, system, extra }

/**
 * Certificates that are trusted, in PEM.
 * @param {'default' | 'bundled' | 'system' | 'extra'} [type]
 * @returns {readonly string[]}
 */
function getCACertificates (type = 'default') {
  if (typeof type !== 'string') throw codes.ERR_INVALID_ARG_TYPE('type', 'string', type)
  if (!Object.hasOwn(KINDS, type)) throw codes.ERR_INVALID_ARG_VALUE('type', type)
  return KINDS[type]()
}

/**
 * From now on contexts without `ca` trust these, and nobody else.
 * @param {(string | NodeJS.ArrayBufferView)[]} certs
 */
function setDefaultCACertificates (certs) {
  validateArray(certs, 'certs')
  const texts = certs.map((cert, index) => {
    if (typeof cert === 'string') return cert
    if (ArrayBuffer.isView(cert)) return Buffer.from(cert.buffer, cert.byteOffset, cert.byteLength).toString('latin1')
    throw codes.ERR_INVALID_ARG_TYPE(`certs[${index}]`, ['string', 'ArrayBufferView'], cert)
  })
  const found = texts.flatMap(certificatesOf)
  // What is to be trusted is not left out in silence.
  if (found.length < texts.flatMap((text) => text.match(CERTIFICATE) ?? []).length) throw codes.ERR_OSSL_PEM_ASN1_LIB()
  if (certs.length > 0 && found.length === 0) {
    throw codes.ERR_CRYPTO_OPERATION_FAILED('No valid certificates found in the provided array')
  }
  const list = Object.freeze([...new Set(found)])
  replaced = list
  replacedText = joined(() => list)
}

/** All certificates of a list in one text; made once, because contexts are made often. */
const joined = (make) => once(() => make().length === 0 ? [] : [Buffer.from(make().join('\n'))])

const systemText = joined(system)
const extraText = joined(extra)

/** The options of the addon's context that say the same; `more` is trusted besides. */
function defaultTrust (more) {
  if (replaced !== null) return { ca: [...replacedText(), ...more] }
  if (flags.opensslAuthorities) return { ca: [...systemText(), ...extraText(), ...more] }
  const added = flags.systemAuthorities ? systemText() : []
  return { defaultCa: 'mozilla', extraCa: [...added, ...extraText(), ...more] }
}

module.exports = { certificatesOf, defaultTrust, getCACertificates, rootCertificates: bundled, setDefaultCACertificates }

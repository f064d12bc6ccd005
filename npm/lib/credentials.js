'use strict'

// Certificates, keys and PKCS#12 files in all the forms that programs give them in, made into what the addon takes.

const { KeyObject, X509Certificate, createPrivateKey } = require('node:crypto')
const { codes, plain } = require('./errors')
const { validateKeyOrCert, validateString } = require('./validators')

/** DER begins with a SEQUENCE; PEM is text. */
const SEQUENCE = 0x30

/**
 * The bytes of a text or of any view; a copy, so that nobody changes them afterwards.
 * @param {string | NodeJS.ArrayBufferView} value
 */
function toBuffer (value) {
  if (typeof value === 'string') return Buffer.from(value)
  return Buffer.from(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
}

function pem (label, der) {
  const lines = der.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')
  return Buffer.from(`-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`)
}

const isDer = (bytes) => bytes.length > 0 && bytes[0] === SEQUENCE

/**
 * One entry of `cert`, `ca` or `crl`.
 * @param {any} value
 * @param {string} name of the option
 * @param {string} [label] of PEM
 */
function toPem (value, name, label = 'CERTIFICATE') {
  if (value instanceof X509Certificate) return Buffer.from(value.toString())
  validateKeyOrCert(value, name)
  const bytes = toBuffer(value)
  return typeof value !== 'string' && isDer(bytes) ? pem(label, bytes) : bytes
}

/** `cert`, `ca` or `crl`: one entry or several. */
function toPems (value, name, label) {
  return (Array.isArray(value) ? value : [value]).map((one) => toPem(one, name, label))
}

/** A key's passphrase, which is text. */
function toPassphrase (value, name) {
  if (value === undefined || value === null) return undefined
  validateString(value, name)
  return Buffer.from(value)
}

/** A file's passphrase, which may be bytes. */
function toFilePassphrase (value) {
  if (!value) return undefined
  if (typeof value === 'string' || ArrayBuffer.isView(value)) return toBuffer(/** @type {any} */ (value))
  throw plain(new TypeError('Pass phrase must be a buffer'), 'ERR_INVALID_ARG_TYPE')
}

/** Which kinds of private keys DER may hold. */
const KINDS = ['pkcs8', 'pkcs1', 'sec1']

function keyFromDer (der, passphrase) {
  for (const type of KINDS) {
    try {
      return toPrivatePem(createPrivateKey(/** @type {any} */ ({ key: der, format: 'der', type, passphrase })))
    } catch {
      // The next kind; the addon says what is wrong with bytes that are none.
    }
  }
  return der
}

const toPrivatePem = (key) => Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }))

/**
 * One entry of `key`.
 * @returns {{ pem: Buffer, passphrase?: Buffer }}
 */
function toKey (value, passphrase, name) {
  if (value instanceof KeyObject && value.type === 'private') return { pem: toPrivatePem(value) }
  validateKeyOrCert(value, `${name}.key`)
  const secret = toPassphrase(passphrase, `${name}.passphrase`)
  const bytes = toBuffer(value)
  if (typeof value !== 'string' && isDer(bytes)) return { pem: keyFromDer(bytes, secret), passphrase: secret }
  return { pem: bytes, passphrase: secret }
}

/** `key`: one entry, or several, each bare or `{ pem, passphrase }`. */
function toKeys (value, passphrase, name) {
  if (!Array.isArray(value)) return [toKey(value, passphrase, name)]
  return value.map((one) => toKey(unwrapped(one), one?.passphrase === undefined ? passphrase : one.passphrase, name))
}

function unwrapped (value) {
  if (value === null || typeof value !== 'object' || value instanceof KeyObject) return value
  return value.pem ?? value.key ?? value
}

/** `pfx`: one file or several, each bare or `{ buf, passphrase }`. */
function toFiles (value, passphrase) {
  const all = Array.isArray(value) ? value : [value]
  return all.map((one) => {
    const contents = one?.buf ?? one
    if (typeof contents !== 'string' && !ArrayBuffer.isView(contents)) {
      throw codes.ERR_CRYPTO_OPERATION_FAILED('Unable to load PFX certificate')
    }
    return { buf: toBuffer(/** @type {any} */ (contents)), passphrase: toFilePassphrase(one.passphrase || passphrase) }
  })
}

module.exports = { toBuffer, toFiles, toKey, toKeys, toPem, toPems }

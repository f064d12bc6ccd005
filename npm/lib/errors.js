'use strict'

// Errors as Node.js makes them: the same codes, classes and texts, because programs compare them.

const { inspect } = require('node:util')

/** Types that are written in lower case: what `typeof` can say. */
const PRIMITIVES = ['string', 'function', 'number', 'object', 'Function', 'Object', 'boolean', 'bigint', 'symbol']
const CLASS_NAME = /^([A-Z][a-z0-9]*)+$/

/** `one`, `one or two`, `one, two, or three`. */
function list (words, conjunction) {
  if (words.length < 3) return words.join(` ${conjunction} `)
  return `${words.slice(0, -1).join(', ')}, ${conjunction} ${words.at(-1)}`
}

/** What a value is, in Node.js's words. */
function received (value) {
  if (value == null) return ` Received ${value}`
  if (typeof value === 'function') return ` Received function ${value.name}`
  if (typeof value === 'object') {
    if (value.constructor?.name) return ` Received an instance of ${value.constructor.name}`
    return ` Received ${inspect(value, { depth: -1 })}`
  }
  let text = inspect(value, { colors: false })
  if (text.length > 28) text = `${text.slice(0, 25)}...`
  return ` Received type ${typeof value} (${text})`
}

function expectedTypes (expected) {
  const all = Array.isArray(expected) ? expected : [expected]
  const types = all.filter((name) => PRIMITIVES.includes(name)).map((name) => name.toLowerCase())
  const instances = all.filter((name) => !PRIMITIVES.includes(name) && CLASS_NAME.test(name))
  const others = all.filter((name) => !PRIMITIVES.includes(name) && !CLASS_NAME.test(name))
  if (instances.length > 0 && types.includes('object')) {
    types.splice(types.indexOf('object'), 1)
    instances.push('Object')
  }
  const parts = []
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${list(types, 'or')}`)
  if (instances.length > 0) parts.push(`an instance of ${list(instances, 'or')}`)
  if (others.length > 0) parts.push(others.length > 1 ? `one of ${list(others, 'or')}` : others[0].toLowerCase() !== others[0] ? `an ${others[0]}` : others[0])
  return parts.join(' or ')
}

function argumentName (name) {
  if (name.endsWith(' argument')) return `${name} must be `
  return `"${name}" ${name.includes('.') ? 'property' : 'argument'} must be `
}

function invalidArgType (name, expected, actual) {
  return `The ${argumentName(name)}${expectedTypes(expected)}.${received(actual)}`
}

function invalidArgValue (name, value, reason = 'is invalid') {
  let text = inspect(value)
  if (text.length > 128) text = `${text.slice(0, 128)}...`
  return `The ${name.includes('.') ? 'property' : 'argument'} '${name}' ${reason}. Received ${text}`
}

/** Digits in groups of three, as Node.js writes large numbers. */
function grouped (text) {
  const sign = text.startsWith('-') ? '-' : ''
  return sign + text.slice(sign.length).replace(/\B(?=(\d{3})+(?!\d))/g, '_')
}

function outOfRange (name, range, input, replaced = false) {
  const large = Number.isInteger(input) && Math.abs(input) > 2 ** 32
  const text = typeof input === 'bigint' ? `${grouped(String(input))}n` : large ? grouped(String(input)) : inspect(input)
  const message = replaced ? name : `The value of "${name}" is out of range.`
  return `${message} It must be ${range}. Received ${text}`
}

/** Code → class and text. */
const TABLE = {
  ERR_INVALID_ARG_TYPE: [TypeError, invalidArgType],
  ERR_INVALID_ARG_VALUE: [TypeError, invalidArgValue],
  ERR_OUT_OF_RANGE: [RangeError, outOfRange],
  ERR_MISSING_ARGS: [TypeError, (names) => `The ${list(names.map((name) => `"${name}"`), 'or')} argument must be specified`],
  ERR_INVALID_CALLBACK: [TypeError, (callback) => `Callback must be a function. Received ${inspect(callback)}`],
  ERR_MULTIPLE_CALLBACK: [Error, () => 'Callback called multiple times'],
  ERR_SOCKET_CLOSED: [Error, () => 'Socket is closed'],
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: [Error, () => 'Socket closed before the connection was established'],
  ERR_STREAM_DESTROYED: [Error, (name) => `Cannot call ${name} after a stream was destroyed`],
  ERR_TLS_ALPN_CALLBACK_INVALID_RESULT: [TypeError, (value, protocols) =>
    `ALPN callback returned a value (${value}) that did not match any of the client's offered protocols (${protocols.join(', ')})`],
  ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS: [TypeError, () => 'The ALPNCallback and ALPNProtocols TLS options are mutually exclusive'],
  ERR_TLS_CERT_ALTNAME_FORMAT: [SyntaxError, () => 'Invalid subject alternative name string'],
  ERR_TLS_DH_PARAM_SIZE: [Error, (size) => `DH parameter size ${size} is less than 2048`],
  ERR_TLS_HANDSHAKE_TIMEOUT: [Error, () => 'TLS handshake timeout'],
  ERR_TLS_INVALID_CONTEXT: [TypeError, (name) => `${name} must be a SecureContext`],
  ERR_TLS_INVALID_PROTOCOL_METHOD: [TypeError, (message) => message],
  ERR_TLS_INVALID_PROTOCOL_VERSION: [TypeError, (version, name) => `${inspect(version)} is not a valid ${name} TLS protocol version`],
  ERR_TLS_INVALID_STATE: [Error, () => 'TLS socket connection must be securely established'],
  ERR_TLS_PROTOCOL_VERSION_CONFLICT: [TypeError, (version, method) => `TLS protocol version ${inspect(version)} conflicts with secureProtocol ${inspect(method)}`],
  ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED: [Error, () => 'Failed to set PSK identity hint'],
  ERR_TLS_RENEGOTIATE: [Error, () => 'Attempt to renegotiate TLS session failed'],
  ERR_TLS_RENEGOTIATION_DISABLED: [Error, () => 'TLS session renegotiation disabled for this socket'],
  ERR_TLS_REQUIRED_SERVER_NAME: [Error, () => '"servername" is required parameter for Server.addContext'],
  ERR_TLS_SESSION_ATTACK: [Error, () => 'TLS session renegotiation attack detected'],
  ERR_TLS_SNI_FROM_SERVER: [Error, () => 'Cannot issue SNI from a TLS server-side socket'],
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: [Error, () => 'unexpected eof while reading'],
  ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED: [Error, () => 'Custom engines not supported by this OpenSSL'],
  ERR_FEATURE_UNAVAILABLE_ON_PLATFORM: [TypeError, (what) => `${what} is not available here`]
}

/** Gives an error its code, and a stack that shows it, without changing its name. */
function withCode (error, code) {
  Object.defineProperty(error, 'toString', {
    value () { return `${this.name} [${code}]: ${this.message}` },
    enumerable: false,
    writable: true,
    configurable: true
  })
  const { name } = error
  Object.defineProperty(error, 'name', { value: `${name} [${code}]`, writable: true, enumerable: false, configurable: true })
  // Reading the stack fixes the name in it.
  void error.stack
  delete error.name
  error.code = code
  return error
}

/** Makes errors by code: `codes.ERR_…(…)`. */
const codes = {}
for (const [code, [Base, text]] of Object.entries(TABLE)) {
  codes[code] = (...words) => withCode(new Base(text(...words)), code)
}

/** The error of a connection that the other side has left. */
function connResetException (message) {
  return Object.assign(new Error(message), { code: 'ECONNRESET' })
}

/** Codes whose text is Node.js's, whatever the core says. */
const FIXED = ['ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_SESSION_ATTACK', 'ERR_TLS_RENEGOTIATION_DISABLED']

/**
 * An error of the addon as Node.js would have made it.
 * @param {any} native
 */
function fromNative (native) {
  if (FIXED.includes(native.code)) return codes[native.code]()
  const Base = native.kind === 'config' && native.code.startsWith('ERR_TLS_INVALID') ? TypeError : Error
  const error = new Base(native.message)
  for (const name of ['library', 'function', 'reason']) if (native[name] != null) error[name] = native[name]
  if (native.opensslErrorStack != null) error.opensslErrorStack = native.opensslErrorStack
  if (native.kind === 'identity') Object.assign(error, { reason: native.identityReason, host: native.host })
  error.code = native.code
  return error
}

module.exports = { codes, connResetException, fromNative }

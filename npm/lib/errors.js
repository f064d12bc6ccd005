'use strict'

// Every error that programs see, in Node.js's shape: the class, `code`, the message, the first line of the stack.

const { constants } = require('node:os')
const { inspect } = require('node:util')
const { expectation, list, received, receivedNumber, subject } = require('./received')

/**
 * An error of the addon, as data.
 * @typedef {{ code: string, message: string, kind: string, library?: string, reason?: string, function?: string,
 *   opensslErrorStack?: string[], alert?: number, option?: string, host?: string, identityReason?: string }} NativeError
 */

/** Puts the code on the error and, as Node.js does, into the first line of its stack. */
function withCode (error, code, below) {
  Object.defineProperty(error, 'name', { value: `${error.name} [${code}]`, configurable: true, enumerable: false, writable: true })
  Error.captureStackTrace(error, below)
  // The first line is made when the stack is read first, so it is read while the name holds.
  void error.stack
  delete error.name
  Object.defineProperty(error, 'toString', {
    value () { return `${this.name} [${code}]: ${this.message}` },
    configurable: true,
    enumerable: false,
    writable: true
  })
  error.code = code
  return error
}

function invalidType (name, expected, actual) {
  return `${subject(name)} must be ${expectation([expected].flat())}. ${received(actual)}`
}

function invalidValue (name, value, reason = 'is invalid') {
  const text = inspect(value)
  const shown = text.length > 128 ? `${text.slice(0, 128)}...` : text
  return `The ${name.includes('.') ? 'property' : 'argument'} '${name}' ${reason}. Received ${shown}`
}

/** `whole`: the name is the whole first sentence. */
function outOfRange (name, range, value, whole = false) {
  const beginning = whole ? name : `The value of "${name}" is out of range.`
  return `${beginning} It must be ${range}. Received ${receivedNumber(value)}`
}

/** Each word is a name; where one is an array, any of its names will do. */
function missing (...names) {
  const quoted = names.map((name) => [name].flat().map((one) => `"${one}"`).join(' or '))
  return `The ${list(quoted, 'and')} argument${names.length > 1 ? 's' : ''} must be specified`
}

function unknownProtocol (value, offered) {
  return `ALPN callback returned a value (${value}) that did not match any of the client's offered protocols (${offered.join(', ')})`
}

/** Code → class and text. */
const TABLE = {
  ERR_INVALID_ARG_TYPE: [TypeError, invalidType],
  ERR_INVALID_ARG_VALUE: [TypeError, invalidValue],
  ERR_OUT_OF_RANGE: [RangeError, outOfRange],
  ERR_MISSING_ARGS: [TypeError, missing],
  ERR_INTERNAL_ASSERTION: [Error, (message) => message],
  ERR_INVALID_CALLBACK: [TypeError, (value) => `Callback must be a function. Received ${inspect(value)}`],
  ERR_MULTIPLE_CALLBACK: [Error, 'Callback called multiple times'],
  ERR_METHOD_NOT_IMPLEMENTED: [Error, (name) => `The ${name} method is not implemented`],
  ERR_FEATURE_UNAVAILABLE_ON_PLATFORM: [TypeError, (what) => `${what} is not available here`],
  ERR_SERVER_NOT_RUNNING: [Error, 'Server is not running.'],
  ERR_INVALID_HANDLE_TYPE: [TypeError, 'This handle type cannot be sent'],
  ERR_SOCKET_CLOSED: [Error, 'Socket is closed'],
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: [Error, 'Socket closed before the connection was established'],
  ERR_STREAM_DESTROYED: [Error, (name) => `Cannot call ${name} after a stream was destroyed`],
  ERR_STREAM_WRAP: [Error, 'Stream has StringDecoder set or is in objectMode'],
  ERR_STREAM_WRITE_AFTER_END: [Error, 'write after end'],
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: [Error, 'unexpected eof while reading'],
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: [Error, 'error:0A0000BF:SSL routines::no protocols available'],
  ERR_OSSL_PEM_ASN1_LIB: [Error, 'error:0488000D:PEM routines::ASN1 lib'],
  ERR_CRYPTO_OPERATION_FAILED: [Error, (message) => message],
  ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED: [Error, 'Custom engines not supported by this OpenSSL'],
  ERR_TLS_ALPN_CALLBACK_INVALID_RESULT: [TypeError, unknownProtocol],
  ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS: [TypeError, 'The ALPNCallback and ALPNProtocols TLS options are mutually exclusive'],
  ERR_TLS_CERT_ALTNAME_FORMAT: [SyntaxError, 'Invalid subject alternative name string'],
  ERR_TLS_CERT_ALTNAME_INVALID: [Error, (reason) => `Hostname/IP does not match certificate's altnames: ${reason}`],
  ERR_TLS_DH_PARAM_SIZE: [Error, (size) => `DH parameter size ${size} is less than 2048`],
  ERR_TLS_HANDSHAKE_TIMEOUT: [Error, 'TLS handshake timeout'],
  ERR_TLS_INVALID_CONTEXT: [TypeError, (name) => `${name} must be a SecureContext`],
  ERR_TLS_INVALID_PROTOCOL_METHOD: [TypeError, (message) => message],
  ERR_TLS_INVALID_PROTOCOL_VERSION: [TypeError, (version, which) => `${JSON.stringify(version)} is not a valid ${which} TLS protocol version`],
  ERR_TLS_INVALID_STATE: [Error, 'TLS socket connection must be securely established'],
  ERR_TLS_PROTOCOL_VERSION_CONFLICT: [TypeError, (version, method) => `TLS protocol version ${JSON.stringify(version)} conflicts with secureProtocol ${JSON.stringify(method)}`],
  // The manual spells it so.
  ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED: [Error, 'Failed to set PSK identity hint'],
  ERR_TLS_RENEGOTIATE: [Error, 'Attempt to renegotiate TLS session failed'],
  ERR_TLS_RENEGOTIATION_DISABLED: [Error, 'TLS session renegotiation disabled for this socket'],
  ERR_TLS_REQUIRED_SERVER_NAME: [Error, '"servername" is required parameter for Server.addContext'],
  ERR_TLS_SESSION_ATTACK: [Error, 'TLS session renegotiation attack detected'],
  ERR_TLS_SNI_FROM_SERVER: [Error, 'Cannot issue SNI from a TLS server-side socket']
}

/** Codes that Node.js's own native side gives: they do not show in the text. */
const PLAIN = new Set(['ERR_CRYPTO_OPERATION_FAILED', 'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED', 'ERR_OSSL_PEM_ASN1_LIB',
  'ERR_SSL_NO_PROTOCOLS_AVAILABLE', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING', 'ERR_TLS_INVALID_PROTOCOL_METHOD', 'ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED'])

function maker (code, Base, message) {
  return function make (...words) {
    const error = new Base(typeof message === 'function' ? message(...words) : message)
    return PLAIN.has(code) ? plain(error, code, make) : withCode(error, code, make)
  }
}

/** An error whose text does not show its code. */
function plain (error, code, below = plain) {
  Error.captureStackTrace(error, below)
  if (code !== undefined) error.code = code
  return error
}

/**
 * Makes errors by their code: `codes.ERR_…(…)`, with or without `new`.
 * @type {Record<string, any>}
 */
const codes = Object.fromEntries(Object.entries(TABLE).map(([code, [Base, message]]) => [code, maker(code, Base, message)]))

/** A certificate that is for other names. */
codes.ERR_TLS_CERT_ALTNAME_INVALID = function identityMismatch (reason, host, cert) {
  const [Base, message] = TABLE.ERR_TLS_CERT_ALTNAME_INVALID
  const error = withCode(new /** @type {any} */ (Base)(/** @type {any} */ (message)(reason)), 'ERR_TLS_CERT_ALTNAME_INVALID', identityMismatch)
  return Object.assign(error, { reason, host, cert })
}

/** Codes whose text is Node.js's, whatever the core says. */
const FIXED = new Set(['ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_SESSION_ATTACK', 'ERR_TLS_RENEGOTIATION_DISABLED', 'ERR_MULTIPLE_CALLBACK',
  'ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED'])

/** What OpenSSL would have said where the core found out by itself. */
const SAID_BY_OPENSSL = {
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: {
    message: 'error:05800074:x509 certificate routines::key values mismatch',
    library: 'x509 certificate routines',
    reason: 'key values mismatch'
  },
  ERR_SSL_WRONG_SSL_VERSION: {
    message: 'error:0A00010A:SSL routines::wrong ssl version',
    library: 'SSL routines',
    reason: 'wrong ssl version'
  },
  ERR_SSL_NO_APPLICATION_PROTOCOL: {
    message: 'error:0A0000EB:SSL routines:tls_handle_alpn:no application protocol',
    library: 'SSL routines',
    function: 'tls_handle_alpn',
    reason: 'no application protocol'
  }
}

/**
 * The error that one of the addon becomes for the program.
 * @param {NativeError} native
 * @param {{ cert?: object }} [more] the peer's certificate, for errors of identity
 */
function fromNative (native, more = {}) {
  if (native.kind === 'identity') return codes.ERR_TLS_CERT_ALTNAME_INVALID(native.identityReason, native.host, more.cert)
  if (FIXED.has(native.code)) return codes[native.code]()
  /** @type {any} */
  const facts = { ...native, message: text(/** @type {any} */ (native)), ...SAID_BY_OPENSSL[native.code] }
  /** @type {any} */
  const error = new (/^ERR_(TLS_)?INVALID/.test(facts.code) ? TypeError : Error)(facts.message)
  if (facts.kind === 'protocol' && facts.library == null) Object.assign(facts, spelledOut(facts.code))
  if (facts.opensslErrorStack?.length > 1) error.opensslErrorStack = facts.opensslErrorStack.slice(1).reverse().map(withoutFunction)
  for (const name of ['library', 'reason']) if (facts[name] != null) error[name] = facts[name]
  return plain(error, facts.code, fromNative)
}

/** Library and reason of what the core has found out before OpenSSL did. */
function spelledOut (code) {
  return code.startsWith('ERR_SSL_') ? { library: 'SSL routines', reason: code.slice(8).toLowerCase().replaceAll('_', ' ') } : {}
}

/** Errors of configuration read as OpenSSL prints them; those of connections name the function and the alert besides. */
function text ({ kind, message, option, alert }) {
  if (kind === 'config') return withoutFunction(message.startsWith(`option ${option}: `) ? message.slice(option.length + 9) : message)
  if (kind === 'alert' && alert != null && !message.includes('alert number')) return `${message}:SSL alert number ${alert}`
  return message
}

/** `error:0A0000B9:SSL routines:set_ciphersuites:no cipher match` without its function. */
function withoutFunction (message) {
  return message.replace(/^(error:[0-9A-F]{8}:[^:]*):[^:]*:/, '$1::')
}

/** The error of a connection that the other side has left. */
function connResetException (message) {
  return plain(new Error(message), 'ECONNRESET', connResetException)
}

/** Node.js 20 calls a write back without an error when its socket is destroyed. */
const TELLS_OF_CANCELLATION = Number(process.versions.node.split('.', 1)[0]) >= 22

/** What the callback of a write gets whose socket has been destroyed. */
function writeCanceled () {
  if (!TELLS_OF_CANCELLATION) return null
  const error = plain(new Error('write ECANCELED Canceled because of SSL destruction'), 'ECANCELED', writeCanceled)
  return Object.assign(error, { errno: -constants.errno.ECANCELED, syscall: 'write' })
}

/**
 * What a client has written before a handshake that fails: Node.js tells of the write, by the system's code.
 * @param {any} error OpenSSL's
 */
function writeProtocolError (error) {
  /** @type {any} */
  const failure = new Error(`write EPROTO ${error.message}`, { cause: error })
  return Object.assign(plain(failure, 'EPROTO', writeProtocolError), { errno: -(constants.errno.EPROTO ?? 71), syscall: 'write' })
}

/**
 * Calls a function of the addon; what it throws becomes the program's.
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function translated (call) {
  try {
    return call()
  } catch (error) {
    throw error?.native ? fromNative(error.native) : error
  }
}

module.exports = { codes, connResetException, fromNative, plain, translated, writeCanceled, writeProtocolError }

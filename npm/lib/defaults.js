'use strict'

// The defaults that programs may change: they are plain properties of the module's own exports, as in Node.js. So
// `settings` *is* the object that `tls.js` exports, and everybody reads it when the value is needed. Packages also put
// functions of their own there: `createSecureContext`, for more authorities, and `checkServerIdentity`.

const { constants, randomBytes } = require('node:crypto')
const { settingsFrom } = require('./cli')

const flags = settingsFrom()

/** For hosts that do not say it; TLS 1.3 suites first, then those with forward secrecy. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'DHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA256', 'DHE-RSA-AES128-SHA256',
  'ECDHE-RSA-AES256-SHA384', 'DHE-RSA-AES256-SHA384', 'ECDHE-RSA-AES256-SHA256', 'DHE-RSA-AES256-SHA256',
  'HIGH', '!aNULL', '!eNULL', '!EXPORT', '!DES', '!RC4', '!MD5', '!PSK', '!SRP', '!CAMELLIA'
].join(':')

/** @type {any} */
const settings = {
  /** How many renegotiations a client may begin … */
  CLIENT_RENEG_LIMIT: 3,
  /** … within so many seconds. */
  CLIENT_RENEG_WINDOW: 600,
  DEFAULT_CIPHERS: flags.cipherList ?? constants.defaultCoreCipherList ?? CIPHERS,
  DEFAULT_ECDH_CURVE: 'auto',
  DEFAULT_MIN_VERSION: flags.minVersion,
  DEFAULT_MAX_VERSION: flags.maxVersion
}

let warned = false

/** Whether peers that are not authorized are let in where the options say nothing: NODE_TLS_REJECT_UNAUTHORIZED=0. */
function allowsUnauthorized () {
  const allows = process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0'
  if (allows && !warned) {
    warned = true
    process.emitWarning("Setting the NODE_TLS_REJECT_UNAUTHORIZED environment variable to '0' makes TLS connections and " +
      'HTTPS requests insecure by disabling certificate verification.')
  }
  return allows
}

/** Whether somebody wants to hear of a socket's key material; only then it is made. */
function wantsKeyLog (socket) {
  const { server } = socket._tlsOptions
  return socket.listenerCount('keylog') > 0 || server?.listenerCount?.('keylog') > 0 || Boolean(flags.keylogFile)
}

module.exports = {
  allowsUnauthorized,
  flags,
  settings,
  wantsKeyLog,
  /** New keys for session tickets: 48 bytes. */
  ticketKeys: () => randomBytes(48),
  get CLIENT_RENEG_LIMIT () { return settings.CLIENT_RENEG_LIMIT },
  get CLIENT_RENEG_WINDOW () { return settings.CLIENT_RENEG_WINDOW }
}

'use strict'

// What a socket's options are for the addon's connection.

const { createHash } = require('node:crypto')

const native = require('./generated')
const { wireForm } = require('./alpn')
const { settings, wantsKeyLog } = require('./defaults')
const { codes, translated } = require('./errors')
const { wanted } = require('./questions')
const { nativeContext } = require('./secure-context')
const { kConnectOptions } = require('./symbols')

/** The protocols of the wire form one by one, as the addon takes them. */
function protocols (given) {
  if (!given) return undefined
  const wire = wireForm(given)
  const list = []
  for (let start = 0; start < wire.length; start += wire[start] + 1) {
    list.push(wire.subarray(start + 1, start + 1 + wire[start]))
  }
  return list
}

/** The name that a client checks; only host names are sent. */
function serverName (socket) {
  const options = socket[kConnectOptions] ?? {}
  // A socket that was given knows the name that it has looked up.
  return socket._servername || options.servername || socket._tlsOptions.servername || options.host || options.socket?._host || 'localhost'
}

/** Stands for a host whose name is none that TLS knows; it is never sent, and RFC 6761 keeps it free. */
function standIn (host) {
  return `${createHash('sha256').update(host).digest('hex').slice(0, 32)}.invalid`
}

function clientConnection (socket) {
  const context = nativeContext(socket._tlsOptions, wantsKeyLog(socket))
  const options = clientOptions(socket)
  try {
    return native.NativeConnection.client(context, options)
  } catch (error) {
    return native.NativeConnection.client(context, repaired(socket, options, error))
  }
}

/** Options without what was refused, where Node.js would do without it, too. */
function repaired (socket, options, error) {
  const { session, ...others } = options
  // A session that cannot be read is none.
  if (error.native && session !== undefined) return others
  if (error.code !== 'InvalidArg') throw error
  if (options.sendServername) throw codes.ERR_INVALID_ARG_VALUE('options.servername', options.servername)
  const connectOptions = socket[kConnectOptions] ?? {}
  connectOptions.checkServerIdentity ??= settings.checkServerIdentity
  return { ...options, servername: standIn(options.servername), skipNameCheck: true, questions: wanted(socket) }
}

/** Options of a client's connection for the addon. */
function clientOptions (socket) {
  const options = socket._tlsOptions
  const connectOptions = socket[kConnectOptions] ?? options
  return {
    servername: serverName(socket),
    // Node.js sends only what `servername` names.
    sendServername: Boolean(socket._servername ?? options.servername ?? connectOptions.servername),
    alpnProtocols: protocols(options.ALPNProtocols),
    session: (socket._session ?? options.session) || undefined,
    requestOCSP: Boolean(options.requestOCSP),
    // A TLSSocket that was made by hand judges nothing by itself (Node.js leaves that to `tls.connect`).
    rejectUnauthorized: socket[kConnectOptions] ? connectOptions.rejectUnauthorized !== false : options.rejectUnauthorized === true,
    skipNameCheck: !socket[kConnectOptions] || typeof connectOptions.checkServerIdentity === 'function',
    minDHSize: connectOptions.minDHSize,
    questions: wanted(socket)
  }
}

function serverConnection (socket) {
  const options = socket._tlsOptions
  const config = options.server?.nativeConfig?.(socket) ?? native.NativeServerConfig.create(serverOptions(options, wanted(socket)))
  return native.NativeConnection.server(nativeContext(options, wantsKeyLog(socket)), config)
}

/** Options of a server's connections for the addon. */
function serverOptions (options, questions) {
  return {
    alpnProtocols: protocols(options.ALPNProtocols),
    requestCert: Boolean(options.requestCert),
    rejectUnauthorized: options.rejectUnauthorized !== false,
    handshakeTimeout: options.handshakeTimeout,
    sessionIdContext: options.sessionIdContext == null ? undefined : Buffer.from(options.sessionIdContext),
    ticketKeys: options.ticketKeys,
    renegotiationLimit: options.renegotiationLimit,
    renegotiationWindow: options.renegotiationWindow,
    pskIdentityHint: options.pskIdentityHint ?? undefined,
    questions
  }
}

/** The addon's connection for a socket. */
function createConnection (socket) {
  return translated(() => socket._tlsOptions.isServer ? serverConnection(socket) : clientConnection(socket))
}

module.exports = { createConnection, protocols, serverOptions }

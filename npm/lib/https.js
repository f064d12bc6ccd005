// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// `https` over this module: Node.js's own http, with our sockets below.

const { createHash } = require('node:crypto')
const { EventEmitter } = require('node:events')
const http = require('node:http')
const { urlToHttpOptions } = require('node:url')
const { compileFunction } = require('node:vm')

const { connect } = require('./connect')
const { Server: TLSServer } = require('./server')

/** What Node.js's http.Server does for a server of ours. */
const kHttp = Symbol('http')

/** Settings of http.Server that programs read and write. */
const SETTINGS = ['timeout', 'keepAliveTimeout', 'keepAliveTimeoutBuffer', 'headersTimeout', 'requestTimeout', 'maxHeadersCount', 'maxRequestsPerSocket', 'httpAllowHalfOpen']

/**
 * @constructor
 * @this {any}
 * @param {any} [options]
 * @param {(request: any, response: any) => void} [listener]
 */
function Server (options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener)
  if (typeof options === 'function') [options, listener] = [{}, options]
  options = { ...options }
  // The manual of https: without any, a client that speaks HTTP/1.1 is served.
  if (!options.ALPNProtocols && !options.ALPNCallback) options.ALPNProtocols = ['http/1.1']
  this[kHttp] = innerServer(this, options)
  TLSServer.call(this, options)
  this.on('secureConnection', (socket) => serve(this[kHttp], socket))
  this.on('listening', () => EventEmitter.prototype.emit.call(this[kHttp], 'listening'))
  // As with http: a client's mistake closes its connection, and nobody has to listen.
  this.on('tlsClientError', (error, socket) => {
    if (!this.emit('clientError', error, socket)) socket.destroy(error)
  })
  if (listener) this.on('request', listener)
}
Object.setPrototypeOf(Server.prototype, TLSServer.prototype)
Object.setPrototypeOf(Server, TLSServer)

/** An http.Server that never listens: connections are handed to it, and its events are the outer one's. */
function innerServer (outer, options) {
  const inner = http.createServer(options)
  inner.emit = (name, ...values) => outer.emit(name, ...values)
  inner.listenerCount = (name) => outer.listenerCount(name)
  return inner
}

function serve (inner, socket) {
  EventEmitter.prototype.emit.call(inner, 'connection', socket)
}

for (const name of SETTINGS) {
  Object.defineProperty(Server.prototype, name, {
    get () { return this[kHttp]?.[name] },
    set (value) { if (this[kHttp]) this[kHttp][name] = value },
    configurable: true
  })
}

const methods = {
  setTimeout (milliseconds, callback) {
    this[kHttp].timeout = milliseconds
    if (callback) this.on('timeout', callback)
    return this
  },

  closeAllConnections () {
    this[kHttp].closeAllConnections()
  },

  closeIdleConnections () {
    this[kHttp].closeIdleConnections()
  },

  close (callback) {
    // It does not listen, which is not the program's mistake; what it has to put in order is.
    this[kHttp].close(() => {})
    return TLSServer.prototype.close.call(this, callback)
  },

  async [Symbol.asyncDispose] () {
    await new Promise((resolve, reject) => this.close((error) => error ? reject(error) : resolve(undefined)))
  }
}
for (const name of Reflect.ownKeys(methods)) {
  Object.defineProperty(Server.prototype, name, { value: methods[name], writable: true, configurable: true })
}

function createServer (options, listener) {
  return new Server(options, listener)
}

// ---- clients ----

/** Options that decide whom a connection trusts and who it is: connections that differ in them are never shared. */
const IDENTITY = ['ca', 'cert', 'clientCertEngine', 'ciphers', 'key', 'pfx', 'rejectUnauthorized', 'servername', 'minVersion',
  'maxVersion', 'secureProtocol', 'crl', 'honorCipherOrder', 'ecdhCurve', 'dhparam', 'secureOptions', 'sessionIdContext', 'sigalgs',
  'privateKeyIdentifier', 'privateKeyEngine', 'passphrase', 'checkServerIdentity', 'secureContext', 'allowPartialTrustChain']

let functions = 0
/** @type {WeakMap<object, number>} */
const numbers = new WeakMap()

/** Objects that cannot be compared by what they say are compared by which they are. */
function numberOf (object) {
  if (!numbers.has(object)) numbers.set(object, ++functions)
  return `#${numbers.get(object)}`
}

/** An option as a text that differs where the option does: lists and files by their digests (CVE-2026-56850). */
function textOf (value) {
  if (value === undefined) return ''
  if (value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return String(value)
  if (ArrayBuffer.isView(value)) return digest(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  if (Array.isArray(value)) return digest(value.map((part) => `${typeof part}:${textOf(part)}`).join('\0'))
  if (Object.getPrototypeOf(value) === Object.prototype) {
    return digest(Object.keys(value).sort().map((name) => `${name}\0${textOf(value[name])}`).join('\0'))
  }
  return numberOf(value)
}

function digest (bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * @constructor
 * @this {any}
 * @param {any} [options]
 */
function Agent (options) {
  if (!(this instanceof Agent)) return new Agent(options)
  http.Agent.call(this, { ...options })
  this.defaultPort = 443
  this.protocol = 'https:'
  this.maxCachedSessions = this.options.maxCachedSessions ?? 100
  this._sessionCache = { map: {}, list: [] }
}
Object.setPrototypeOf(Agent.prototype, http.Agent.prototype)
Object.setPrototypeOf(Agent, http.Agent)

/** @type {any} */
const agentMethods = {
  /** Names the connections that may be shared; everything that decides about trust is part of it. */
  getName (options = {}) {
    let name = http.Agent.prototype.getName.call(this, options)
    for (const option of IDENTITY) {
      const value = option === 'servername' && options.servername === options.host ? undefined : options[option]
      name += `:${textOf(value)}`
    }
    return name
  },

  createConnection (port, host, options) {
    if (port !== null && typeof port === 'object') options = port
    else options = { ...(typeof host === 'object' ? host : options), ...(typeof port === 'number' && { port }), ...(typeof host === 'string' && { host }) }
    options = { ...options }
    const key = options._agentKey
    if (key) {
      const session = this._getSession(key)
      if (session && !options.session) options.session = session
    }
    const socket = connect(options)
    if (key) {
      socket.on('session', (session) => this._cacheSession(key, session))
      socket.once('close', (hadError) => { if (hadError) this._evictSession(key) })
    }
    return socket
  },

  _getSession (key) {
    return this._sessionCache.map[key]
  },

  _cacheSession (key, session) {
    const { map, list } = this._sessionCache
    if (this.maxCachedSessions === 0) return
    if (map[key] === undefined) {
      if (list.length >= this.maxCachedSessions) delete map[list.shift()]
      list.push(key)
    }
    map[key] = session
  },

  _evictSession (key) {
    const { map, list } = this._sessionCache
    const index = list.indexOf(key)
    if (index < 0) return
    list.splice(index, 1)
    delete map[key]
  }
}
Object.assign(Agent.prototype, agentMethods)

/** Node.js's own defaults for the agent that all requests share. */
const globalAgent = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 })

/** Agents of other packages (agent-base) look for this name on the stack to know that a request is one over TLS. */
const begin = compileFunction('return new ClientRequest(options, ...words)', ['ClientRequest', 'options', 'words'], { filename: 'node:https' })

function request (...words) {
  const options = {}
  if (typeof words[0] === 'string') Object.assign(options, urlToHttpOptions(new URL(words.shift())))
  else if (words[0] instanceof URL) Object.assign(options, urlToHttpOptions(words.shift()))
  if (words[0] && typeof words[0] !== 'function') Object.assign(options, words.shift())
  options._defaultAgent = module.exports.globalAgent
  return begin(http.ClientRequest, options, words)
}

function get (...words) {
  const made = request(...words)
  made.end()
  return made
}

module.exports = { Agent, Server, createServer, get, globalAgent, request }

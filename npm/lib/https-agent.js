// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// The agent of `https`: which connections may be shared, and which sessions resumed.

const { createHash } = require('node:crypto')
const http = require('node:http')

const tls = require('./tls')

/** What Node.js's names are made of, in its order. */
const NAMED = ['ca', 'cert', 'clientCertEngine', 'ciphers', 'key', 'pfx', 'rejectUnauthorized', 'servername', 'minVersion',
  'maxVersion', 'secureProtocol', 'crl', 'honorCipherOrder', 'ecdhCurve', 'dhparam', 'secureOptions', 'sessionIdContext', 'sigalgs',
  'privateKeyIdentifier', 'privateKeyEngine']
/** What also decides whom a connection trusts and who it is. Where any of it is set a digest of everything is added. */
const UNNAMED = ['passphrase', 'checkServerIdentity', 'secureContext', 'allowPartialTrustChain', 'externalKey', 'sign', 'pskCallback', 'minDHSize']

let count = 0
/** @type {WeakMap<object, number>} */
const numbers = new WeakMap()

/** Objects that cannot be compared by what they say are compared by which they are. */
function numberOf (object) {
  if (!numbers.has(object)) numbers.set(object, ++count)
  return `#${numbers.get(object)}`
}

const isBytes = (value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer

/** Whether the option's text, among other texts, says all. */
function isPlain (value) {
  if (Array.isArray(value)) return value.length > 1 && value.every((part) => !Array.isArray(part) && isPlain(part))
  if (Buffer.isBuffer(value)) return isPlain(value.latin1Slice()) && !/[^\0-\x7f]/.test(value.latin1Slice())
  if (typeof value === 'string') return !/[:,]/.test(value)
  return value === undefined || typeof value === 'boolean' || typeof value === 'number'
}

/** An option as a text that differs where the option does (CVE-2026-56850). */
function textOf (value) {
  if (value === undefined) return ''
  if (typeof value === 'string') return digest(Buffer.from(value))
  if (value === null || ['number', 'boolean', 'bigint'].includes(typeof value)) return String(value)
  if (isBytes(value)) return digest(ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value))
  if (Array.isArray(value)) return digest(value.map(textOf).join())
  if (Object.getPrototypeOf(value) === Object.prototype) {
    return digest(Object.keys(value).sort().map((name) => `${textOf(name)}=${textOf(value[name])}`).join())
  }
  return numberOf(value)
}

function digest (bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Node.js's text of an option in a name: what is falsy stands for nothing, but for those whose `false` and 0 say something. */
const SAY_FALSE = ['rejectUnauthorized', 'honorCipherOrder', 'secureOptions']

function nameOf (options, option) {
  const value = options[option]
  if (option === 'servername' && value === options.host) return ''
  if (option === 'sigalgs') return value ? JSON.stringify(value) : ''
  if (SAY_FALSE.includes(option)) return value === undefined ? '' : String(value)
  return value ? textIn(value) : ''
}

/** Secrets and long files do not show in names that are not plain. */
function textIn (value) {
  return isPlain(value) ? String(value) : digest(textOf(value))
}

/**
 * @constructor
 * @this {any}
 * @param {any} [options]
 */
function Agent (options) {
  if (!(this instanceof Agent)) return new Agent(options)
  http.Agent.call(this, { defaultPort: 443, protocol: 'https:', ...options })
  this.defaultPort = this.options.defaultPort ?? 443
  this.protocol = this.options.protocol ?? 'https:'
  this.maxCachedSessions = this.options.maxCachedSessions ?? 100
  this._sessionCache = { map: {}, list: [] }
}
Object.setPrototypeOf(Agent.prototype, http.Agent.prototype)
Object.setPrototypeOf(Agent, http.Agent)

const methods = {
  createConnection (port, host, options) {
    if (port !== null && typeof port === 'object') options = port
    else options = { ...(typeof host === 'object' ? host : options), ...(typeof port === 'number' && { port }), ...(typeof host === 'string' && { host }) }
    options = { ...options }
    const key = options._agentKey
    if (key) {
      const session = this._getSession(key)
      if (session && !options.session) options.session = session
    }
    const socket = tls.connect(options)
    if (key) {
      socket.on('session', (session) => this._cacheSession(key, session))
      socket.once('close', (hadError) => { if (hadError) this._evictSession(key) })
    }
    return socket
  },

  /** Names the connections that may be shared; everything that decides about trust is part of it. */
  getName (options = {}) {
    let name = http.Agent.prototype.getName.call(this, options)
    for (const option of NAMED) name += `:${nameOf(options, option)}`
    const more = UNNAMED.filter((option) => options[option] !== undefined)
    if (more.length > 0) name += `:${digest(more.map((option) => `${option}=${textOf(options[option])}`).join())}`
    return name
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
Object.assign(Agent.prototype, methods)

module.exports = { Agent }

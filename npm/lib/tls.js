'use strict'

// The exports of the module, as `require('node:tls')` has them.

const { convertALPNProtocols } = require('./alpn')
const { getCACertificates, rootCertificates, setDefaultCACertificates } = require('./authorities')
const { getCertificateCompressionAlgorithms, getCiphers } = require('./ciphers')
const { settings } = require('./defaults')
const { checkServerIdentity } = require('./identity')
const { SecureContext, createSecureContext } = require('./secure-context')

// Whoever looks for the checks of names or for contexts finds them here, even while the rest is loaded.
Object.assign(settings, { getCiphers, getCertificateCompressionAlgorithms })
Object.defineProperty(settings, 'rootCertificates', { configurable: false, enumerable: true, get: rootCertificates })
Object.assign(settings, {
  getCACertificates, setDefaultCACertificates, convertALPNProtocols, checkServerIdentity, createSecureContext, SecureContext
})

const { connect } = require('./connect')
const { CryptoStream, SecurePair, createSecurePair, parseCertString } = require('./legacy')
const { Server, createServer } = require('./server')
const { TLSSocket } = require('./tls-socket')

module.exports = Object.assign(settings, {
  TLSSocket,
  Server,
  createServer,
  connect,
  createSecurePair,
  parseCertString,
  SecurePair,
  CryptoStream
})

'use strict'

// The names that `import { … }` can take: Node.js looks for such assignments in the text.
exports.CLIENT_RENEG_LIMIT = exports.CLIENT_RENEG_WINDOW = exports.CryptoStream = undefined
exports.DEFAULT_CIPHERS = exports.DEFAULT_ECDH_CURVE = exports.DEFAULT_MAX_VERSION = undefined
exports.DEFAULT_MIN_VERSION = exports.SecureContext = exports.SecurePair = undefined
exports.Server = exports.TLSSocket = exports.checkServerIdentity = exports.connect = undefined
exports.convertALPNProtocols = exports.createSecureContext = exports.createSecurePair = undefined
exports.createServer = exports.getCACertificates = undefined
exports.getCertificateCompressionAlgorithms = exports.getCiphers = undefined
exports.parseCertString = exports.rootCertificates = exports.setDefaultCACertificates = undefined

module.exports = require('./tls')

'use strict'

// tls.getCiphers and its like.

const native = require('./generated')

/** @type {string[] | undefined} */
let known

/**
 * The names of all cipher suites, in lower case.
 * @returns {string[]}
 */
function getCiphers () {
  known ??= [...new Set(native.ciphers())].sort()
  return [...known]
}

/**
 * The algorithms by which certificates can be compressed in a handshake (RFC 8879): none, this OpenSSL has no library for it.
 * @returns {string[]}
 */
function getCertificateCompressionAlgorithms () {
  return []
}

module.exports = { getCertificateCompressionAlgorithms, getCiphers }

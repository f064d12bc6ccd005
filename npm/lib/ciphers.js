'use strict'

// tls.getCiphers.

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

module.exports = { getCiphers }

'use strict'

// The file of --tls-keylog.

const { appendFileSync } = require('node:fs')
const { flags } = require('./defaults')

let announced = false
let failed = false

/** Warns of the file, once, when the first connection is made. */
function announceKeyLog () {
  if (announced || !flags.keylogFile) return
  announced = true
  process.emitWarning(`Using --tls-keylog makes TLS connections insecure by writing secret key material to file ${flags.keylogFile}`)
}

/** Writes a line. A connection does not fail because that does. */
function writeKeyLog (line) {
  if (!flags.keylogFile) return
  try {
    appendFileSync(flags.keylogFile, line, { mode: 0o600 })
  } catch (error) {
    if (!failed) process.emitWarning(`Failed to write TLS keylog (this warning will not be repeated): ${error}`)
    failed = true
  }
}

module.exports = { announceKeyLog, writeKeyLog }

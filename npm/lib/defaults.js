'use strict'
// STAND-IN by the architect; J2 replaces it.
const { randomBytes } = require('node:crypto')
module.exports = { CLIENT_RENEG_LIMIT: 3, CLIENT_RENEG_WINDOW: 600, ticketKeys: () => randomBytes(48) }

'use strict'
module.exports = { checkServerIdentity () {} }

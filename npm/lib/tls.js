'use strict'
// STAND-IN by the architect; J2 replaces it.
module.exports = { ...require('./server'), ...require('./connect'), ...require('./tls-socket'), ...require('./secure-context'), ...require('./alpn') }

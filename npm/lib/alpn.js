'use strict'

// Lists of application protocols (RFC 7301).

const { codes } = require('./errors')

/** Protocols by name, each preceded by its length. */
function wireForm (names) {
  const parts = names.map((name, index) => {
    const bytes = Buffer.from(name)
    if (bytes.length > 255) {
      throw codes.ERR_OUT_OF_RANGE(`The byte length of the protocol at index ${index} exceeds the maximum length.`, '<= 255', bytes.length, true)
    }
    return Buffer.concat([Buffer.from([bytes.length]), bytes])
  })
  return Buffer.concat(parts)
}

/**
 * Puts the protocols in wire form into `out.ALPNProtocols`.
 * @param {string[] | NodeJS.ArrayBufferView} protocols
 * @param {any} out
 */
function convertALPNProtocols (protocols, out) {
  if (Array.isArray(protocols)) out.ALPNProtocols = wireForm(protocols)
  else if (ArrayBuffer.isView(protocols)) {
    out.ALPNProtocols = Buffer.from(Buffer.from(protocols.buffer, protocols.byteOffset, protocols.byteLength))
  }
}

module.exports = { convertALPNProtocols }

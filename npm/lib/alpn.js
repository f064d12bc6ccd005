'use strict'

// Lists of application protocols (RFC 7301).

const { codes, plain } = require('./errors')
const { toBuffer } = require('./credentials')

const LONGEST = 255

/** A protocol's name, preceded by its length. */
function element (name, index) {
  const length = Buffer.byteLength(name)
  if (length > LONGEST) {
    throw codes.ERR_OUT_OF_RANGE(`The byte length of the protocol at index ${index} exceeds the maximum length.`, `<= ${LONGEST}`, length, true)
  }
  return Buffer.concat([Buffer.from([length]), Buffer.from(name)])
}

/**
 * Puts the protocols in wire form into `out.ALPNProtocols`.
 * @param {string[] | NodeJS.ArrayBufferView} protocols
 * @param {any} out
 */
function convertALPNProtocols (protocols, out) {
  if (Array.isArray(protocols)) out.ALPNProtocols = Buffer.concat(protocols.map(element))
  else if (ArrayBuffer.isView(protocols)) out.ALPNProtocols = toBuffer(protocols)
}

/**
 * The wire form of what the option `ALPNProtocols` gives; Node.js's words where it gives none.
 * @param {any} protocols
 * @returns {Buffer}
 */
function wireForm (protocols) {
  /** @type {{ ALPNProtocols?: Buffer }} */
  const out = {}
  convertALPNProtocols(protocols, out)
  if (out.ALPNProtocols === undefined) throw plain(new TypeError('Must give a Buffer as first argument'))
  return out.ALPNProtocols
}

module.exports = { convertALPNProtocols, wireForm }

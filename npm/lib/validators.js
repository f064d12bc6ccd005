'use strict'

// Checks of arguments that throw what Node.js's own checks throw.

const { codes } = require('./errors')

const MAX_INT32 = 2 ** 31 - 1
const MAX_UINT32 = 2 ** 32 - 1

/** @typedef {(value: unknown, name: string) => void} Check */

/** @returns {Check} */
function ofType (type) {
  return (value, name) => {
    if (typeof value !== type) throw codes.ERR_INVALID_ARG_TYPE(name, type, value)
  }
}

const validateString = ofType('string')
const validateBoolean = ofType('boolean')
const isNumber = ofType('number')

/** @type {Check} */
function validateFunction (value, name) {
  if (typeof value !== 'function') throw codes.ERR_INVALID_ARG_TYPE(name, 'Function', value)
}

/** @type {Check} */
function validateObject (value, name) {
  if (value === null || Array.isArray(value) || typeof value !== 'object') throw codes.ERR_INVALID_ARG_TYPE(name, 'Object', value)
}

/** @type {Check} */
function validateArray (value, name) {
  if (!Array.isArray(value)) throw codes.ERR_INVALID_ARG_TYPE(name, 'Array', value)
}

/**
 * @param {any} value
 * @param {string} name
 * @param {number} [min]
 * @param {number} [max]
 */
function validateNumber (value, name, min, max) {
  isNumber(value, name)
  const beyond = (min != null && value < min) || (max != null && value > max)
  const limited = min != null || max != null
  if (beyond || (limited && Number.isNaN(value))) throw codes.ERR_OUT_OF_RANGE(name, limits(min, max), value)
}

function limits (min, max) {
  return [min != null ? `>= ${min}` : '', max != null ? `<= ${max}` : ''].filter(Boolean).join(' && ')
}

/**
 * @param {any} value
 * @param {string} name
 */
function validateInteger (value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  isNumber(value, name)
  if (!Number.isInteger(value)) throw codes.ERR_OUT_OF_RANGE(name, 'an integer', value)
  if (value < min || value > max) throw codes.ERR_OUT_OF_RANGE(name, limits(min, max), value)
}

/**
 * @param {any} value
 * @param {string} name
 */
function validateInt32 (value, name, min = -(2 ** 31), max = MAX_INT32) {
  validateInteger(value, name, min, max)
}

/**
 * @param {any} value
 * @param {string} name
 */
function validateUint32 (value, name, positive = false) {
  validateInteger(value, name, positive ? 1 : 0, MAX_UINT32)
}

/**
 * @param {any} value
 */
function validateBuffer (value, name = 'buffer') {
  if (!ArrayBuffer.isView(value)) throw codes.ERR_INVALID_ARG_TYPE(name, ['Buffer', 'TypedArray', 'DataView'], value)
}

/**
 * A key or certificate: text or bytes.
 * @type {Check}
 */
function validateKeyOrCert (value, name) {
  if (typeof value === 'string' || ArrayBuffer.isView(value)) return
  throw codes.ERR_INVALID_ARG_TYPE(name, ['string', 'Buffer', 'TypedArray', 'DataView'], value)
}

module.exports = {
  validateArray,
  validateBoolean,
  validateBuffer,
  validateFunction,
  validateInt32,
  validateInteger,
  validateKeyOrCert,
  validateNumber,
  validateObject,
  validateString,
  validateUint32
}

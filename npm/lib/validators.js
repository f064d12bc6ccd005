'use strict'

// Checks of arguments, with Node.js's own words.

const { codes } = require('./errors')

function ofType (type) {
  return (value, name) => {
    // eslint-disable-next-line valid-typeof
    if (typeof value !== type) throw codes.ERR_INVALID_ARG_TYPE(name, type, value)
  }
}

const validateString = ofType('string')
const validateBoolean = ofType('boolean')

function validateFunction (value, name) {
  if (typeof value !== 'function') throw codes.ERR_INVALID_ARG_TYPE(name, 'Function', value)
}

function validateObject (value, name) {
  if (value === null || Array.isArray(value) || typeof value !== 'object') {
    throw codes.ERR_INVALID_ARG_TYPE(name, 'Object', value)
  }
}

function validateNumber (value, name, min, max) {
  if (typeof value !== 'number') throw codes.ERR_INVALID_ARG_TYPE(name, 'number', value)
  if ((min != null && value < min) || (max != null && value > max) || ((min != null || max != null) && Number.isNaN(value))) {
    const range = `${min != null ? `>= ${min}` : ''}${min != null && max != null ? ' && ' : ''}${max != null ? `<= ${max}` : ''}`
    throw codes.ERR_OUT_OF_RANGE(name, range, value)
  }
}

function validateWhole (value, name, min, max) {
  if (typeof value !== 'number') throw codes.ERR_INVALID_ARG_TYPE(name, 'number', value)
  if (!Number.isInteger(value)) throw codes.ERR_OUT_OF_RANGE(name, 'an integer', value)
  if (value < min || value > max) throw codes.ERR_OUT_OF_RANGE(name, `>= ${min} && <= ${max}`, value)
}

const validateInt32 = (value, name, min = -2147483648, max = 2147483647) => validateWhole(value, name, min, max)
const validateUint32 = (value, name, positive = false) => validateWhole(value, name, positive ? 1 : 0, 4294967295)
const validateInteger = (value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) =>
  validateWhole(value, name, min, max)

function validateBuffer (value, name = 'buffer') {
  if (!ArrayBuffer.isView(value)) throw codes.ERR_INVALID_ARG_TYPE(name, ['Buffer', 'TypedArray', 'DataView'], value)
}

module.exports = {
  validateBoolean,
  validateBuffer,
  validateFunction,
  validateInt32,
  validateInteger,
  validateNumber,
  validateObject,
  validateString,
  validateUint32
}

'use strict'

// Loads the addon: the one that was built here, or the package for this platform.

const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('./platform')

/** Where the addon is. */
function place () {
  const name = platformName()
  const local = path.join(__dirname, `nodetls.${name}.node`)
  if (fs.existsSync(local)) return local
  try {
    return require.resolve(`nodetls-${name}`)
  } catch (cause) {
    throw Object.assign(new Error(`nodetls has no binary for ${name}: ${advice(name, local)}`, { cause }), { code: 'MODULE_NOT_FOUND' })
  }
}

function advice (name, local) {
  if (fs.existsSync(path.join(__dirname, '..', '..', 'scripts', 'build.js'))) return '`npm run build` makes it (Rust and a C compiler are needed)'
  return `the package nodetls-${name} is not installed (were optional dependencies left out?). ` +
    `Without it, build the addon in nodetls's repository by \`npm run build\` and put it at ${local}`
}

/** An addon of another version would be called in the wrong way. */
function check (addon, file) {
  const { version } = require('../../package.json')
  const found = addon.version?.()
  if (found === version) return
  const text = `nodetls ${version} cannot use the addon ${found ?? 'of an unknown version'} at ${file}: both have to be of one version`
  throw Object.assign(new Error(text), { code: 'ERR_NODETLS_ADDON_VERSION' })
}

const file = place()
const addon = require(file)
check(addon, file)

module.exports = Object.assign(addon, { file })

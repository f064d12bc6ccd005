'use strict'

// Loads the addon: the one that was built here, or the package for this platform.

const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('./platform')

function load () {
  const name = platformName()
  const local = path.join(__dirname, `nodetls.${name}.node`)
  if (fs.existsSync(local)) return require(local)
  try {
    return require(`nodetls-${name}`)
  } catch (cause) {
    throw new Error(`nodetls has no binary for ${name}; \`npm run build\` makes one (it needs Rust and a C compiler)`, { cause })
  }
}

module.exports = load()

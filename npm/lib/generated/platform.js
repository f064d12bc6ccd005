'use strict'

const fs = require('node:fs')

/** Whether the C library is musl. What `ldd` says is cheaper to have than a report. */
function isMusl () {
  try {
    return fs.readFileSync('/usr/bin/ldd', 'latin1').includes('musl')
  } catch {
    const { header } = /** @type {any} */ (process.report.getReport())
    return !header.glibcVersionRuntime
  }
}

/**
 * The platform's name as napi-rs writes it, such as `linux-x64-gnu`; this one's by default.
 * @param {{ platform: string, arch: string }} [machine]
 * @param {() => boolean} [hasMusl]
 */
function platformName ({ platform, arch } = process, hasMusl = isMusl) {
  if (platform === 'linux') return `linux-${arch}-${hasMusl() ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

module.exports = { platformName }

'use strict'

/** Whether the C library is musl; only Linux asks. */
function isMusl () {
  const { header } = /** @type {any} */ (process.report.getReport())
  return !header.glibcVersionRuntime
}

/** The platform's name as napi-rs writes it, such as `linux-x64-gnu`. */
function platformName () {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

module.exports = { platformName }

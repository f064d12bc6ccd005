// The same for `import` in Node.js versions whose hooks run on a thread of their own.

const FILES = { tls: './index.js', _tls_common: './index.js', _tls_wrap: './index.js', https: './https.js', http2: './http2.js' }
const HERE = new URL('.', import.meta.url).href

/**
 * @param {string} specifier
 * @param {any} context
 * @param {any} next
 */
export async function resolve (specifier, context, next) {
  const name = specifier.startsWith('node:') ? specifier.slice('node:'.length) : specifier
  if (!Object.hasOwn(FILES, name) || context.parentURL?.startsWith(HERE)) return next(specifier, context)
  return { url: new URL(FILES[name], HERE).href, format: 'commonjs', shortCircuit: true }
}

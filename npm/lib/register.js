'use strict'

// Puts this package under programs that ask for `tls`, `https` and `http2`:
//
//   node --require nodetls/register app.js      node --import nodetls/register app.js

const Module = require('node:module')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { isInternalThread } = require('node:worker_threads')

const HERE = __dirname + path.sep

/** Module's name → file of ours. `_tls_…` are names of old for parts of tls. */
const FILES = { tls: 'index.js', _tls_common: 'index.js', _tls_wrap: 'index.js', https: 'https.js', http2: 'http2.js' }

function fileFor (request) {
  const name = request.startsWith('node:') ? request.slice('node:'.length) : request
  return Object.hasOwn(FILES, name) ? path.join(__dirname, FILES[name]) : undefined
}

// ---- require ----

/** @type {any} */
const loader = Module
const load = loader._load
loader._load = function (request, parent, isMain) {
  const file = parent?.filename?.startsWith(HERE) ? undefined : fileFor(request)
  return file ? load.call(this, file, module, false) : load.call(this, request, parent, isMain)
}

// ---- process.getBuiltinModule ----

const builtin = process.getBuiltinModule
if (builtin) {
  process.getBuiltinModule = /** @type {any} */ ((id) => {
    const file = fileFor(id)
    return file ? require(file) : builtin.call(process, id)
  })
}

// ---- import ----

/** Sends the names of the modules to our files, but for our own imports. */
function resolve (specifier, context, next) {
  // `require` has been seen to above; `require.resolve` says what it always says.
  const isOurs = context.parentURL?.startsWith(pathToFileURL(HERE).href) || context.conditions?.includes('require')
  const file = isOurs ? undefined : fileFor(specifier)
  return file ? { url: pathToFileURL(file).href, format: 'commonjs', shortCircuit: true } : next(specifier, context)
}

// The thread that runs other loaders' hooks, where Node.js has one, asks for nothing of ours, and can do without.
if (!isInternalThread) {
  if (typeof Module.registerHooks === 'function') Module.registerHooks({ resolve })
  else Module.register('./register-hooks.mjs', pathToFileURL(__filename))
}

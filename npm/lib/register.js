'use strict'

// Puts this package under programs that ask for `tls`, `https` and `http2`:
//
//   node --require nodetls/register app.js      node --import nodetls/register app.js

const Module = require('node:module')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const HERE = __dirname + path.sep

/** Module's name → file of ours, without its extension. */
const FILES = { tls: 'index', https: 'https', http2: 'http2' }

function fileFor (request, extension = '.js') {
  const name = request.startsWith('node:') ? request.slice('node:'.length) : request
  return Object.hasOwn(FILES, name) ? path.join(__dirname, FILES[name] + extension) : undefined
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
  const file = context.parentURL?.startsWith(pathToFileURL(HERE).href) ? undefined : fileFor(specifier, '.mjs')
  return file ? { url: pathToFileURL(file).href, format: 'module', shortCircuit: true } : next(specifier, context)
}

if (typeof Module.registerHooks === 'function') Module.registerHooks({ resolve })
else Module.register('./register-hooks.mjs', pathToFileURL(__filename))

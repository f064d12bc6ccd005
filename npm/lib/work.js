'use strict'

// The heavy steps of handshakes, done by the addon's threads: who waits for which.

const { setInterval } = require('node:timers')
const native = require('./generated')

/**
 * A process may load this package again and again (test runners do), but its addon only once: all have one list of who
 * waits. It is found with the addon, or, where that has been loaded anew too, with the process.
 */
const kWork = Symbol.for(`nodetls.work ${native.file}`)

function begin () {
  /** @type {Map<number, { worked(): void }>} */
  const waiting = new Map()
  // Keeps the process alive while work is being done: a handshake over streams in memory has nothing else that does.
  const keeper = setInterval(() => {}, 0x7fffffff)
  keeper.unref()
  native.setWorkDone((ids) => {
    for (const id of ids) {
      const done = waiting.get(id)
      waiting.delete(id)
      done?.worked()
    }
    if (waiting.size === 0) keeper.unref()
  })
  return { waiting, keeper }
}

const { waiting, keeper } = native[kWork] ?? process[kWork] ?? begin()
for (const holder of [native, process]) Object.defineProperty(holder, kWork, { value: { waiting, keeper }, configurable: true })

/** A step of this connection is being done elsewhere; `done` is told afterwards. */
function awaitWork (id, done) {
  if (waiting.size === 0) keeper.ref()
  waiting.set(id, done)
}

module.exports = { awaitWork }

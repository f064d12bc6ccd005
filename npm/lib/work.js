'use strict'

// The heavy steps of handshakes, done by the addon's threads: who waits for which.

const native = require('./generated')

/** @type {Map<number, { worked(): void }>} */
const waiting = new Map()

/** Keeps the process alive while work is being done: a handshake over streams in memory has nothing else that does. */
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

/**
 * Has the step done elsewhere that is due, if there is one; whether that is so. `done` is told afterwards.
 */
function startWork (connection, done) {
  if (!connection.startWork()) return false
  if (waiting.size === 0) keeper.ref()
  waiting.set(connection.id, done)
  return true
}

module.exports = { startWork }

'use strict'

// Handshakes take turns: what they need of the event loop is done as it comes while that is little, and waits for the
// loop's next round when it is much, so that timers and open connections are not kept waiting by a crowd at the door.

const { AsyncResource } = require('node:async_hooks')
const { performance } = require('node:perf_hooks')

/** What handshakes may have of one round of the event loop, in milliseconds. */
const SHARE = 1

/**
 * A part of a connection's work, in the context (AsyncLocalStorage) of that connection.
 * @typedef {{ task: (subject: any) => void, owner: any, subject: any, resource: AsyncResource }} Turn
 */

/** @type {Turn[]} */
let waiting = []
let first = 0
/** When this round's share is over; 0: nothing has had any yet. */
let over = 0

function hasTime () {
  const now = performance.now()
  if (over === 0) {
    over = now + SHARE
    setImmediate(nextRound)
  }
  return now < over
}

function nextRound () {
  over = 0
  while (first < waiting.length && hasTime()) {
    const { task, owner, subject, resource } = waiting[first++]
    if (first === waiting.length) {
      waiting = []
      first = 0
    }
    resource.runInAsyncScope(task, owner, subject)
  }
}

/** Whether a handshake that has something to do may do it now. */
function isItsTurn () {
  return first === waiting.length && hasTime()
}

/**
 * Has the task done now, or in a later round of the event loop; tasks keep their order. `resource` is the present context
 * where it is left out.
 * @param {(subject: any) => void} task
 * @param {any} owner what `this` is in it
 * @param {any} [subject]
 * @param {AsyncResource} [resource]
 * @returns {boolean} whether it was done now
 */
function takeTurn (task, owner, subject, resource) {
  if (!isItsTurn()) {
    waiting.push({ task, owner, subject, resource: resource ?? new AsyncResource('TLSTURN') })
    return false
  }
  task.call(owner, subject)
  return true
}

/** How deep programs may nest ticks and promises that are done first. */
const DEPTH = 16

/** Does it when all is done that this turn of the event loop has made due: ticks and promises, by and by. */
function afterThisTurn (action, left = DEPTH) {
  if (left === 0) action()
  else queueMicrotask(() => process.nextTick(afterThisTurn, action, left - 1))
}

module.exports = { afterThisTurn, isItsTurn, takeTurn }

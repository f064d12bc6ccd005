'use strict'

// The connections of a server, one after the other, for `for await`.

/** A socket that waits for the program may fail meanwhile; without listeners that would end the process. */
const ignore = () => {}

/**
 * The sockets that become secure, until the server is closed or fails. Those that nobody takes any more are closed.
 * @param {any} server
 */
async function * secureSockets (server) {
  const state = { waiting: [], closed: false, error: null, wake: ignore }
  const arrived = (socket) => {
    socket.on('error', ignore)
    state.waiting.push(socket)
    state.wake()
  }
  const closed = () => {
    state.closed = true
    state.wake()
  }
  const failed = (error) => {
    state.error = error
    state.wake()
  }
  server.on('secureConnection', arrived)
  server.once('close', closed)
  server.once('error', failed)
  try {
    for (;;) {
      while (state.waiting.length > 0) yield taken(state.waiting.shift())
      if (state.error !== null) throw state.error
      if (state.closed) return
      await new Promise((resolve) => { state.wake = () => resolve(undefined) })
    }
  } finally {
    server.off('secureConnection', arrived)
    server.off('close', closed)
    server.off('error', failed)
    for (const socket of state.waiting) socket.destroy()
  }
}

/** From the next turn on the socket's errors are the program's. */
function taken (socket) {
  setImmediate(() => socket.off('error', ignore))
  return socket
}

module.exports = { secureSockets }

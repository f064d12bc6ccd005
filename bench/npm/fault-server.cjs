// The server that is attacked, in JavaScript: fault-server.cjs MODULE
//
// Reads a line of JSON with certificate, key and time limit, prints its port, answers each further line when it has
// collected its garbage (`--expose-gc`), and ends with its input. It does nothing for its own good: whoever fails is let
// go by the module.
'use strict'

const readline = require('node:readline')
const tls = require(process.argv[2])

const PIECE = Buffer.alloc(64 * 1024, 'd')
const DOWNLOAD = 2 ** 30

function download (socket) {
  let left = DOWNLOAD
  const send = () => {
    while (left > 0) {
      left -= PIECE.length
      if (!socket.write(PIECE)) return
    }
  }
  socket.on('drain', send)
  send()
}

const input = readline.createInterface({ input: process.stdin })
input.on('close', () => process.exit())
input.once('line', (line) => {
  const { certificate: cert, key, limit: handshakeTimeout } = JSON.parse(line)
  const server = tls.createServer({ cert, key, handshakeTimeout }, (socket) => {
    // A client that leaves is no failure of the server.
    socket.on('error', () => {})
    socket.once('data', (first) => {
      if (first[0] === 0x64) return download(socket)
      socket.write(first)
      socket.on('data', (data) => socket.write(data))
    })
  })
  input.on('line', () => {
    globalThis.gc?.()
    console.log('collected')
  })
  server.listen(0, '127.0.0.1', 4096, () => console.log(server.address().port))
})

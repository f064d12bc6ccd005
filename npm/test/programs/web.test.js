'use strict'

const { assert, certificate, limited, program } = require('./world')

const identity = () => {
  const { cert, key } = certificate()
  return { cert: String(cert), key: String(key) }
}

limited('undici, axios and got fetch over HTTPS, and refuse whom they do not trust', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const https = require('https')
    const server = https.createServer({ cert, key }, (request, response) => {
      let length = 0
      request.on('data', (chunk) => { length += chunk.length }).on('end', () => response.end(JSON.stringify({ url: request.url, length, encrypted: request.socket.encrypted })))
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://localhost:${server.address().port}/path`
    const body = 'x'.repeat(100000)
    const undici = require('undici')
    const { default: axios } = await import('axios')
    const { default: got } = await import('got')
    const dispatcher = new undici.Agent({ connect: { ca } })
    const agent = new https.Agent({ ca, keepAlive: true })
    const answers = [
      await (await undici.request(url, { method: 'POST', body, dispatcher })).body.json(),
      (await axios.post(url, body, { httpsAgent: agent })).data,
      await got.post(url, { body, https: { certificateAuthority: ca } }).json()
    ]
    const refusals = []
    for (const attempt of [() => undici.request(url), () => axios.get(url), () => got(url, { retry: { limit: 0 } })]) {
      refusals.push(await attempt().then(() => 'accepted', (error) => error.code))
    }
    await dispatcher.close()
    agent.destroy()
    server.closeAllConnections()
    server.close()
    return { answers, refusals }
  }, identity())
  const answer = { url: '/path', length: 100000, encrypted: true }
  assert.deepEqual(result, { answers: [answer, answer, answer], refusals: Array(3).fill('UNABLE_TO_VERIFY_LEAF_SIGNATURE') })
})

limited('an agent goes through a proxy, by CONNECT', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const http = require('http')
    const https = require('https')
    const net = require('net')
    const { HttpsProxyAgent } = await import('https-proxy-agent')
    const server = https.createServer({ cert, key }, (request, response) => response.end('behind the proxy'))
    const proxy = http.createServer().on('connect', (request, near) => {
      const [host, port] = request.url.split(':')
      const far = net.connect(port, host, () => {
        near.write('HTTP/1.1 200 OK\r\n\r\n')
        near.pipe(far).pipe(near)
      })
      for (const socket of [near, far]) socket.on('error', () => {})
    })
    for (const one of [server, proxy]) await new Promise((resolve) => one.listen(0, '127.0.0.1', resolve))
    const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.address().port}`)
    return new Promise((resolve, reject) => {
      https.get({ host: 'localhost', port: server.address().port, agent, ca }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve(text)
      }).on('error', reject)
    })
  }, identity())
  assert.equal(result, 'behind the proxy')
})

limited('HTTP/2 is spoken by Node.js\'s client, by http2-wrapper, and by the older protocol where that is allowed', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const http2 = require('http2')
    const https = require('https')
    const wrapper = await import('http2-wrapper')
    const server = http2.createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => response.end(request.httpVersion))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address()
    const text = async (stream) => {
      let all = ''
      for await (const chunk of stream) all += chunk
      return all
    }
    const session = http2.connect(`https://localhost:${port}`, { ca })
    const direct = await text(session.request({ ':path': '/' }))
    session.close()
    const get = (module, options) => new Promise((resolve, reject) => {
      module.get({ host: 'localhost', port, ca, ...options }, (response) => resolve(text(response))).on('error', reject)
    })
    const old = await get(https, {})
    const { default: auto } = wrapper
    const wrapped = await new Promise((resolve, reject) => {
      auto.auto(`https://localhost:${port}/`, { ca }, (response) => resolve(text(response))).then((request) => request.on('error', reject).end(), reject)
    })
    server.close()
    return [direct, old, wrapped]
  }, identity())
  assert.deepEqual(result, ['2.0', '1.1', '2.0'])
})

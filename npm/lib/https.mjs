import https from './https.js'

export const { Agent, Server, createServer, get, globalAgent, request } = https

export default https

// The types of `node:http2`, with the options that this package has beyond them.

import * as http2 from 'node:http2'
import { ConnectionOptions, TlsOptions } from './index'

export * from 'node:http2'

export type SecureServerOptions = Omit<http2.SecureServerOptions, keyof TlsOptions> & TlsOptions
export type SecureClientSessionOptions = Omit<http2.SecureClientSessionOptions, keyof ConnectionOptions> & ConnectionOptions

type Handler = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void
type Listener = (session: http2.ClientHttp2Session, socket: import('node:net').Socket | import('node:tls').TLSSocket) => void

export function createSecureServer(options: SecureServerOptions, onRequestHandler?: Handler): http2.Http2SecureServer
export function connect(authority: string | URL, listener?: Listener): http2.ClientHttp2Session
export function connect(authority: string | URL, options?: http2.ClientSessionOptions | SecureClientSessionOptions, listener?: Listener): http2.ClientHttp2Session

// The types of `node:https`, with the options that this package has beyond them.

import * as http from 'node:http'
import * as https from 'node:https'
import { ConnectionOptions, TlsOptions } from './index'

export * from 'node:https'

export interface ServerOptions extends http.ServerOptions, TlsOptions {}

/** Those of a connection, and those of a request. */
export type RequestOptions = Omit<https.RequestOptions, keyof ConnectionOptions> & Omit<ConnectionOptions, keyof http.RequestOptions> & http.RequestOptions

export function createServer(requestListener?: http.RequestListener): https.Server
export function createServer(options: ServerOptions, requestListener?: http.RequestListener): https.Server
export function request(options: RequestOptions | string | URL, callback?: (response: http.IncomingMessage) => void): http.ClientRequest
export function request(url: string | URL, options: RequestOptions, callback?: (response: http.IncomingMessage) => void): http.ClientRequest
export function get(options: RequestOptions | string | URL, callback?: (response: http.IncomingMessage) => void): http.ClientRequest
export function get(url: string | URL, options: RequestOptions, callback?: (response: http.IncomingMessage) => void): http.ClientRequest

'use strict'

// The certificates that the operating system trusts.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

/** Where the distributions keep them; the first that exists counts. */
const FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/usr/local/etc/ssl/cert.pem'
]
const DIRECTORIES = ['/etc/ssl/certs', '/etc/pki/tls/certs']

const KEYCHAINS = ['/System/Library/Keychains/SystemRootCertificates.keychain', '/Library/Keychains/System.keychain']

const WINDOWS = "Get-ChildItem Cert:\\LocalMachine\\Root,Cert:\\CurrentUser\\Root | ForEach-Object { '-----BEGIN CERTIFICATE-----'; " +
  "[Convert]::ToBase64String($_.RawData); '-----END CERTIFICATE-----' }"

function textOf (file) {
  try {
    return fs.readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

function textOfDirectory (directory) {
  let names
  try {
    names = fs.readdirSync(directory)
  } catch {
    return ''
  }
  return names.map((name) => textOf(path.join(directory, name))).join('\n')
}

function printed (program, words) {
  try {
    return execFileSync(program, words, { encoding: 'latin1', maxBuffer: 1 << 26, windowsHide: true, stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}

/** SSL_CERT_FILE and SSL_CERT_DIR replace the places that are built in, as for OpenSSL. */
function fromFiles () {
  const { SSL_CERT_FILE: file, SSL_CERT_DIR: directories } = process.env
  if (file || directories) {
    const places = directories ? directories.split(path.delimiter) : []
    return [file ? textOf(file) : '', ...places.map(textOfDirectory)].join('\n')
  }
  return FILES.map(textOf).find(Boolean) ?? DIRECTORIES.map(textOfDirectory).join('\n')
}

function text () {
  if (process.platform === 'darwin') return printed('/usr/bin/security', ['find-certificate', '-a', '-p', ...KEYCHAINS])
  if (process.platform === 'win32') return printed(path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32\\WindowsPowerShell\\v1.0\\powershell.exe'), ['-NoProfile', '-Command', WINDOWS])
  return fromFiles()
}

/**
 * In PEM, each once.
 * @param {(text: string) => string[]} certificatesOf
 */
function systemCertificates (certificatesOf) {
  return [...new Set(certificatesOf(text()))]
}

module.exports = { systemCertificates }

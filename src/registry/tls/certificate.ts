/**
 * Makes two kinds of X.509 certificate (RFC 5280), and no others: an authority that signs itself, and a server's
 * that it signs. Keys are ECDSA P-256, which every client of registries knows.
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { isIP } from 'node:net'
import * as der from './der.ts'

/** A certificate and its key, in PEM. */
export interface CertifiedKey {
  readonly certificate: string
  readonly key: string
}

export interface Validity {
  /** Milliseconds since the epoch, both. */
  readonly from: number
  readonly until: number
}

/** @param name of the authority, up to 64 characters */
export function makeAuthority(name: string, validity: Validity): CertifiedKey {
  const { publicKey, privateKey } = newKeyPair()
  const extensions = [
    extension(OID.basicConstraints, der.sequence(der.boolean(true), der.integer(Buffer.of(0))), true),
    extension(OID.keyUsage, der.bitString(Buffer.of(KEY_CERT_SIGN_AND_CRL_SIGN), 1), true),
    extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
  ]
  const subject = commonName(name)
  const certificate = signed({ issuer: subject, subject, validity, publicKey, extensions }, privateKey)
  return { certificate, key: pemKey(privateKey) }
}

export interface ServerCertificate {
  /** What stands for the server where one name is shown. */
  readonly name: string
  /** Host names and IP addresses under which clients ask. */
  readonly hosts: readonly string[]
  readonly validity: Validity
  /** Who signs: an authority that `makeAuthority` made. */
  readonly authority: { readonly name: string; readonly key: KeyObject }
}

export function makeServerCertificate({ name, hosts, validity, authority }: ServerCertificate): CertifiedKey {
  const { publicKey, privateKey } = newKeyPair()
  const issuerKey = keyIdentifier(createPublicKey(authority.key))
  const extensions = [
    extension(OID.basicConstraints, der.sequence(), true),
    extension(OID.keyUsage, der.bitString(Buffer.of(DIGITAL_SIGNATURE), 7), true),
    extension(OID.extendedKeyUsage, der.sequence(der.objectIdentifier(OID.serverAuth))),
    extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(publicKey))),
    extension(OID.authorityKeyIdentifier, der.sequence(der.implicit(0, issuerKey))),
    extension(OID.subjectAltName, der.sequence(...hosts.map(generalName))),
  ]
  const certificate = signed(
    { issuer: commonName(authority.name), subject: commonName(name), validity, publicKey, extensions },
    authority.key,
  )
  return { certificate, key: pemKey(privateKey) }
}

const OID = {
  ecdsaWithSHA256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

/** Named bits (RFC 5280 section 4.2.1.3), counted from the left. */
const DIGITAL_SIGNATURE = 0b1000_0000
const KEY_CERT_SIGN_AND_CRL_SIGN = 0b0000_0110

const VERSION_3 = der.explicit(0, der.integer(Buffer.of(2)))
const SERIAL_BYTES = 16

interface Content {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly validity: Validity
  readonly publicKey: KeyObject
  readonly extensions: readonly Buffer[]
}

function signed({ issuer, subject, validity, publicKey, extensions }: Content, signer: KeyObject): string {
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSHA256))
  const content = der.sequence(
    VERSION_3,
    der.integer(randomBytes(SERIAL_BYTES)),
    algorithm,
    issuer,
    der.sequence(der.time(validity.from), der.time(validity.until)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions)),
  )
  return pem(der.sequence(content, algorithm, der.bitString(sign('sha256', content, signer))))
}

function newKeyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

/** The leftmost 160 bits of a hash of the key (RFC 7093 section 2). */
function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)
}

function commonName(name: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectIdentifier(OID.commonName), der.utf8String(name))))
}

function extension(id: string, content: Buffer, isCritical = false): Buffer {
  const criticality = isCritical ? [der.boolean(true)] : []
  return der.sequence(der.objectIdentifier(id), ...criticality, der.octetString(content))
}

function generalName(host: string): Buffer {
  const version = isIP(host)
  if (version === 0) return der.implicit(2, Buffer.from(host, 'ascii'))
  return der.implicit(7, version === 4 ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host))
}

/** A URL writes every spelling of an address in one: groups of hex digits and at most one `::`. */
function ipv6Bytes(address: string): Buffer {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  const after = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const all = [...before, ...zeros, ...after]
  return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex')
}

function pemKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

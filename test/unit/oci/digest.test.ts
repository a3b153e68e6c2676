import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import {
  Digester,
  DigestVerifier,
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
} from '../../../src/oci/digest.ts'
import { collect, inChunks } from './tar-bytes.ts'

const ABC = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

test('digestOf() is the hash in hex, of text and of bytes', () => {
  assert.equal(digestOf('abc'), ABC)
  assert.equal(digestOf(Buffer.from('abc')), ABC)
  assert.equal(
    digestOf('', 'sha256'),
    `sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
  )
  assert.match(digestOf('abc', 'sha512'), /^sha512:ddaf35a193617aba[0-9a-f]{112}$/)
})

test('parseDigest() accepts what digestOf() makes', () => {
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = parseDigest(digestOf('x', algorithm))
    assert.equal(digestAlgorithm(digest), algorithm)
    assert.equal(`${algorithm}:${digestHex(digest)}`, digest)
  }
})

const bad: readonly [name: string, text: string][] = [
  ['nothing', ''],
  ['no algorithm', ABC.slice(7)],
  ['upper-case hex', ABC.toUpperCase().replace('SHA', 'sha')],
  ['a digit too few', ABC.slice(0, -1)],
  ['a digit too many', `${ABC}0`],
  ['a line feed at the end', `${ABC}\n`],
  ['what is no hex', ABC.replace('ba', 'zz')],
  ['sha512 of sha256 length', ABC.replace('256', '512')],
  ['an unknown algorithm', ABC.replace('sha256', 'md5')],
  ['a name of Object.prototype', ABC.replace('sha256', 'constructor')],
  ['a path', 'sha256:../../../etc/passwd'],
]
for (const [name, text] of bad) {
  test(`parseDigest() rejects ${name}`, () => {
    assert.equal(isDigest(text), false)
    assert.throws(() => parseDigest(text), { code: 'digest-invalid' })
  })
}

test('Digester counts and hashes chunks as one', () => {
  const digester = new Digester().update(Buffer.from('a')).update(Buffer.alloc(0)).update(Buffer.from('bc'))
  assert.equal(digester.size, 3)
  assert.equal(digester.digest(), ABC)
})

const verify = (text: string, expected: ConstructorParameters<typeof DigestVerifier>[0]) =>
  collect(Readable.from(inChunks(Buffer.from(text), 2)).compose(new DigestVerifier(expected)))

test('DigestVerifier passes the expected bytes through', async () => {
  assert.equal((await verify('abc', { digest: digestOf('abc') })).toString(), 'abc')
  assert.equal((await verify('abc', { digest: digestOf('abc', 'sha512'), size: 3 })).toString(), 'abc')
})

test('DigestVerifier fails before the end for other bytes, fewer, or more', async () => {
  const digest = digestOf('abc')
  await assert.rejects(verify('abd', { digest }), { code: 'digest-mismatch' })
  await assert.rejects(verify('ab', { digest, size: 3 }), {
    code: 'size-mismatch',
    message: /want 3 bytes, got 2/,
  })
  await assert.rejects(verify('abcd', { digest, size: 3 }), {
    code: 'size-mismatch',
    message: /got more than 3/,
  })
})

test('nothing after a DigestVerifier sees an end that was not verified', async () => {
  let ended = false
  const sink = async (source: AsyncIterable<Buffer>) => {
    for await (const _chunk of source);
    ended = true
  }
  const source = Readable.from([Buffer.from('abd')])
  await assert.rejects(pipeline(source, new DigestVerifier({ digest: digestOf('abc') }), sink))
  assert.equal(ended, false)
})

import assert from 'node:assert/strict'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { FileStamp } from '../../../../src/builder/context/remembered-files.ts'
import { openStatCache } from '../../../../src/builder/context/stat-cache.ts'
import { byteStringFrom, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

const SECOND = 1_000_000_000n
const STAMP: FileStamp = { size: 5n, mtimeNs: 100n * SECOND, ctimeNs: 100n * SECOND, ino: 7n, dev: 8n }
const FACTS = { digest: digestOf('hello') }
const F = byteStringOf('f')

let directory: string
let now: number
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-stat-cache-'))
  now = 1_000_000
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (context = '/context') =>
  openStatCache({ directory: join(directory, 'digests'), context, now: () => now })
const records = () => readdirSync(join(directory, 'digests')).map(name => join(directory, 'digests', name))

async function remember(
  facts: Parameters<Awaited<ReturnType<typeof open>>['put']>[2] = FACTS,
): Promise<void> {
  const cache = await open()
  cache.put(F, STAMP, facts)
  await cache.save()
}

describe('openStatCache()', () => {
  it('remembers digests and attributes between builds, for each context', async () => {
    const odd = byteStringFrom(Buffer.from([0xff, 0x0a]))
    const cache = await open()
    cache.put(F, STAMP, FACTS)
    cache.put(F, STAMP, { xattrs: new Map([['user.a', Buffer.from([0, 200])]]) })
    cache.put(odd, STAMP, { digest: digestOf('odd') })
    await cache.save()
    const again = await open()
    assert.deepEqual(again.get(F, STAMP)?.digest, FACTS.digest)
    assert.deepEqual(Buffer.from(again.get(F, STAMP)?.xattrs?.get('user.a') ?? []), Buffer.from([0, 200]))
    assert.deepEqual(again.get(odd, STAMP)?.digest, digestOf('odd'))
    assert.equal((await open('/another')).get(F, STAMP), undefined)
  })

  for (const field of ['size', 'mtimeNs', 'ctimeNs', 'ino', 'dev'] as const) {
    it(`forgets a file whose ${field} differs`, async () => {
      await remember()
      assert.equal((await open()).get(F, { ...STAMP, [field]: STAMP[field] + 1n }), undefined)
    })
  }

  for (const field of ['mtimeNs', 'ctimeNs'] as const) {
    it(`does not trust what was read within two seconds of its ${field}`, async () => {
      const stamp = { ...STAMP, [field]: BigInt(now - 1999) * 1_000_000n }
      const cache = await open()
      cache.put(F, stamp, FACTS)
      assert.deepEqual(cache.get(F, stamp)?.digest, FACTS.digest)
      await cache.save()
      assert.equal((await open()).get(F, stamp), undefined)
      const old = { ...STAMP, [field]: BigInt(now - 2001) * 1_000_000n }
      const second = await open()
      second.put(F, old, FACTS)
      await second.save()
      assert.deepEqual((await open()).get(F, old)?.digest, FACTS.digest)
    })
  }

  it('trusts a disk that counts fractions of a second sooner', async () => {
    const changed = 1000n * SECOND + 123_456_789n
    const readAt = async (time: number, ino: bigint) => {
      now = time
      const stamp = { ...STAMP, ino, mtimeNs: changed, ctimeNs: changed }
      const cache = await open()
      cache.put(F, stamp, FACTS)
      await cache.save()
      return (await open()).get(F, stamp)?.digest
    }
    assert.equal(await readAt(1_000_200, 1n), undefined)
    assert.equal(await readAt(1_000_300, 2n), FACTS.digest)
  })

  it('remembers the greatest and the least stamps, and files without attributes', async () => {
    const stamp = { size: 0n, mtimeNs: -1n, ctimeNs: 2n ** 63n - 1n, ino: -(2n ** 63n), dev: 2n ** 62n }
    now = Number(stamp.ctimeNs / 1_000_000n) + 1_000_000
    const cache = await open()
    cache.put(F, stamp, { xattrs: new Map() })
    await cache.save()
    const known = (await open()).get(F, stamp)
    assert.deepEqual([known?.xattrs?.size, known?.digest], [0, undefined])
    assert.equal((await open()).get(byteStringOf('g'), stamp), undefined)
  })

  it('adds to what it confirmed, and keeps both', async () => {
    await remember()
    const cache = await open()
    cache.get(F, STAMP)
    cache.put(F, STAMP, { xattrs: new Map([['user.a', Buffer.from('b')]]) })
    assert.equal(cache.get(F, STAMP)?.digest, FACTS.digest)
    await cache.save()
    const known = (await open()).get(F, STAMP)
    assert.deepEqual([known?.digest, known?.xattrs?.size], [FACTS.digest, 1])
  })

  it('writes nothing in a build that learns nothing', async () => {
    await remember()
    const before = records().map(name => statSync(name, { bigint: true }).mtimeNs)
    const cache = await open()
    cache.get(F, STAMP)
    await cache.save()
    await remember()
    assert.deepEqual(
      records().map(name => statSync(name, { bigint: true }).mtimeNs),
      before,
    )
  })

  it('writes nothing to trust a small file that it had to read again', async () => {
    const stamp = { ...STAMP, mtimeNs: BigInt(now) * 1_000_000n }
    const read = async (of: FileStamp) => {
      const cache = await open()
      cache.put(F, of, FACTS)
      await cache.save()
    }
    await read(stamp)
    const before = readFileSync(records()[0] ?? '')
    now += 10_000
    await read(stamp)
    assert.deepEqual(readFileSync(records()[0] ?? ''), before)
    const large = { ...stamp, size: 20_000_000n }
    now -= 10_000
    await read(large)
    now += 10_000
    await read(large)
    assert.deepEqual((await open()).get(F, large)?.digest, FACTS.digest)
  })

  it('keeps what another build of the context read', async () => {
    await remember()
    const cache = await open()
    cache.put(byteStringOf('g'), STAMP, FACTS)
    await cache.save()
    assert.deepEqual((await open()).get(F, STAMP)?.digest, FACTS.digest)
  })

  const damages: readonly (readonly [string, (name: string) => void])[] = [
    ['is cut off', name => truncateSync(name, 40)],
    ['is empty', name => truncateSync(name, 0)],
    ['is something else', name => writeFileSync(name, '\0\xff'.repeat(1000))],
    ['lacks its last byte', name => truncateSync(name, statSync(name).size - 1)],
    ...[16, 40, 80, 110, 120].map((at): readonly [string, (name: string) => void] => [
      `differs in byte ${at}`,
      name => {
        const bytes = readFileSync(name)
        bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
        writeFileSync(name, bytes)
      },
    ]),
  ]
  for (const [what, damage] of damages) {
    it(`starts anew from a record that ${what}`, async () => {
      await remember()
      damage(records()[0] ?? '')
      assert.equal((await open()).get(F, STAMP), undefined)
      await remember()
      assert.deepEqual((await open()).get(F, STAMP)?.digest, FACTS.digest)
    })
  }

  it('leaves nothing but the record', async () => {
    await remember()
    await remember({ digest: digestOf('x') })
    assert.equal(records().length, 1)
  })
})

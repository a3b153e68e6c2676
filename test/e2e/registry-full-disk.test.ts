/** A disk that is full: refused clearly, read from as before, and made free again. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isErrno } from '../../src/oci/errors.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import { succeed } from './support/process.ts'
import { type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun } from './support/world.ts'

const MB = 1024 * 1024

interface Pushed {
  readonly status: number
  readonly digest: string
  readonly body: string
}

async function push(host: string, bytes: Buffer): Promise<Pushed> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const url = `http://${host}/v2/app/blobs/uploads/?digest=${digest}`
  const answer = await fetch(url, { method: 'POST', body: new Uint8Array(bytes) })
  return { status: answer.status, digest, body: await answer.text() }
}

async function isReadable(host: string, digest: string): Promise<boolean> {
  const answer = await fetch(`http://${host}/v2/app/blobs/${digest}`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  return answer.ok && `sha256:${createHash('sha256').update(bytes).digest('hex')}` === digest
}

/** Takes all that is left of a disk, to the last byte. */
function fill(file: string): void {
  for (let size = MB; size >= 1; )
    try {
      appendFileSync(file, Buffer.alloc(size))
    } catch (error) {
      assert.ok(isErrno(error, 'ENOSPC'), String(error))
      size = Math.floor(size / 2)
    }
}

async function pushManifest(host: string, layer: string, tag: string): Promise<string> {
  const config = await push(host, Buffer.from('{}'))
  const answer = await fetch(`http://${host}/v2/app/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': MEDIA_TYPE.ociManifest },
    body: JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: config.digest, size: 2 },
      layers: [{ mediaType: MEDIA_TYPE.ociLayer, digest: layer, size: MB }],
      annotations: { tag },
    }),
  })
  assert.equal(answer.status, 201)
  return answer.headers.get('Docker-Content-Digest') ?? ''
}

describe('a full disk', { skip: cannotRun({ root: true, programs: ['mount', 'umount'] }) }, () => {
  let folder: string
  let slipway: Slipway
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-full-'))
    await succeed('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder])
    slipway = slipwayAt(join(folder, 'store'))
    await mkdir(slipway.root)
  })
  after(async () => {
    await succeed('umount', [folder])
    await rm(folder, { recursive: true })
  })

  it('refuses pushes with 507, serves what there is, and has room again after a collection', async () => {
    const pushed: string[] = []
    {
      await using served = await slipway.serve()
      let refused: Pushed | undefined
      // Pieces of all sizes, until not even a small one fits.
      for (let size = 2 * MB; size >= 4096 && pushed.length < 200; ) {
        const answer = await push(served.host, randomBytes(size))
        if (answer.status === 201) {
          pushed.push(answer.digest)
          continue
        }
        refused = answer
        size /= 2
      }
      assert.ok(refused, 'the disk is full')
      assert.equal(refused.status, 507)
      const { errors } = JSON.parse(refused.body)
      assert.match(errors[0].message, /full/)
      assert.ok(pushed.length > 3)
      for (const digest of pushed) assert.ok(await isReadable(served.host, digest), digest)
      assert.equal((await fetch(`http://${served.host}/v2/`)).status, 200)
    }
    // Nobody has the database open now: even opening it needs room.
    const collected = await slipway.run(['gc', '--grace', '0s'])
    assert.match(collected, new RegExp(`^deleted ${pushed.length} blobs`))
    assert.ok((await readdir(slipway.root)).includes('reserve'), 'the room for the next time is kept again')
    await using served = await slipway.serve()
    const again = await push(served.host, randomBytes(4 * MB))
    assert.equal(again.status, 201)
    assert.ok(await isReadable(served.host, again.digest))
  })

  it('lets clients delete a tag, a manifest and a blob when not a byte is free', async () => {
    {
      await using served = await slipway.serve()
      const layer = await push(served.host, randomBytes(MB))
      const loose = await push(served.host, randomBytes(MB))
      const manifest = await pushManifest(served.host, layer.digest, 'a')
      await pushManifest(served.host, layer.digest, 'b')
      fill(join(folder, 'filler'))
      assert.equal((await push(served.host, randomBytes(4096))).status, 507)
      for (const path of [`manifests/${manifest}`, 'manifests/b', `blobs/${loose.digest}`]) {
        const answer = await fetch(`http://${served.host}/v2/app/${path}`, { method: 'DELETE' })
        assert.equal(answer.status, 202, `${path}: ${await answer.text()}`)
      }
      fill(join(folder, 'more filler'))
    }
    assert.match(await slipway.run(['gc', '--grace', '0s']), /^deleted [1-9]/)
  })
})

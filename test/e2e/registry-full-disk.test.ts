/** A disk that is full: refused clearly, read from as before, and made free again. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
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
})

/** Damage in a store, of what came from another registry and of what did not. */
import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Slipway, slipwayAt } from './support/slipway.ts'

/** Every blob has another byte at its end. */
async function damage({ root }: Slipway): Promise<number> {
  const blobs = join(root, 'blobs')
  const files = (await readdir(blobs, { recursive: true, withFileTypes: true })).filter(entry =>
    entry.isFile(),
  )
  for (const { parentPath, name } of files) await appendFile(join(parentPath, name), 'x')
  return files.length
}

describe('slipway verify --repair', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-repair-'))
    await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n')
  })
  after(() => rm(folder, { recursive: true }))

  it('fetches what is lost from where it came, and says what it cannot', async () => {
    const upstream = slipwayAt(join(folder, 'upstream'))
    await upstream.run(['build', '-t', 'app:1', folder])
    const slipway = slipwayAt(join(folder, 'store'))
    let blobs: number
    {
      await using served = await upstream.serve()
      await slipway.run(['pull', `${served.host}/app:1`])
      blobs = await damage(slipway)
      const found = await slipway.try(['verify', '--repair'])
      assert.equal(found.code, 0, found.stderr)
      assert.match(
        found.stdout,
        new RegExp(`verified ${blobs} blobs.*: ${blobs} lost, ${blobs} of them fetched again`),
      )
      assert.match(await slipway.run(['verify']), new RegExp(`verified ${blobs} blobs.*: 0 lost`))
      await slipway.run(['save', '-o', join(folder, 'app.tar'), `${served.host}/app:1`])
    }
    await damage(slipway)
    const found = await slipway.try(['verify', '--repair'])
    assert.equal(found.code, 1)
    assert.match(found.stderr, /cannot fetch sha256:\w+ from 127\.0\.0\.1:/)
    assert.match(found.stderr, new RegExp(`${blobs} blobs are lost`))
    assert.equal((await readdir(join(slipway.root, 'quarantine'))).length >= blobs, true)
  })
})

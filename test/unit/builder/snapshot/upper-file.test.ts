import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { timeOfLower } from '../../../../src/builder/snapshot/overlay-changes.ts'
import { isUnchanged, upperFile } from '../../../../src/builder/snapshot/upper-file.ts'
import { loadLinux } from '../../../../src/linux/linux.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import { memoryTree } from '../export/memory-tree.ts'

const folder = mkdtempSync(join(tmpdir(), 'slipway-upper-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function write(directory: string, time: number): string {
  const path = join(folder, directory)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'f'), 'content')
  chmodSync(join(path, 'f'), 0o644)
  utimesSync(join(path, 'f'), time, time)
  return path
}

describe('isUnchanged()', () => {
  const { uid, gid } = statSync(folder)
  const below = memoryTree({ f: { content: 'content', mtime: 1000, mode: 0o644, uid, gid } })
  async function isSame(upperTime: number, lower: readonly string[]): Promise<boolean> {
    const path = join(write('upper', upperTime), 'f')
    const linux = await loadLinux()
    const file = upperFile(linux, Buffer.from(path), byteStringOf('f'), statSync(path, { bigint: true }))
    return isUnchanged(file, below, () => timeOfLower(byteStringOf('f'), lower))
  }

  it('tells a file that was written again in the same second from a copy', async () => {
    const lower = write('lower', 1000.25)
    assert.equal(await isSame(1000.25, [lower]), true)
    assert.equal(await isSame(1000.5, [lower]), false)
  })

  it('looks at the topmost layer that has the file, and needs none', async () => {
    const upmost = write('upmost', 1000.5)
    const hidden = write('hidden', 1000.25)
    const without = join(folder, 'no-such-layer')
    assert.equal(await isSame(1000.5, [without, upmost, hidden]), true)
    assert.equal(await isSame(1000.25, [without, upmost, hidden]), false)
    assert.equal(await isSame(1000.25, [without]), true)
    assert.equal(await isSame(1000.75, []), true)
  })
})

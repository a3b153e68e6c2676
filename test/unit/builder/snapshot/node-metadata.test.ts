import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type NodeMetadata, setOpenMetadata } from '../../../../src/builder/snapshot/node-metadata.ts'

const { uid, gid } = userInfo()

const PLAIN: NodeMetadata = {
  type: 'other',
  mode: 0o4751,
  uid,
  gid,
  time: { seconds: 17, nanoseconds: 0 },
  xattrs: new Map(),
}

/** Without maps of ids: files can be anybody's. */
const ANYBODY = { idMaps: undefined }

function openNew(t: TestContext): number {
  const directory = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  const file = openSync(join(directory, 'f'), 'wx', 0o600)
  t.after(() => {
    closeSync(file)
    rmSync(directory, { recursive: true })
  })
  return file
}

for (const seconds of [0, 17, 2 ** 31, 2 ** 33]) {
  test(`setOpenMetadata() sets mode with setuid, owner and ${seconds} seconds exactly`, t => {
    const file = openNew(t)
    assert.equal(setOpenMetadata(ANYBODY, file, { ...PLAIN, time: { seconds, nanoseconds: 0 } }), true)
    const stats = fstatSync(file, { bigint: true })
    assert.equal(Number(stats.mode) & 0o7777, 0o4751)
    assert.deepEqual([stats.uid, stats.gid], [BigInt(uid), BigInt(gid)])
    assert.equal(stats.mtimeNs, BigInt(seconds) * 1_000_000_000n)
  })
}

for (const [name, metadata] of Object.entries({
  'a time before 1970': { ...PLAIN, time: { seconds: -1, nanoseconds: 0 } },
  'a fraction of a second': { ...PLAIN, time: { seconds: 1, nanoseconds: 1 } },
  attributes: { ...PLAIN, xattrs: new Map([['user.a', Buffer.from('b')]]) },
})) {
  test(`setOpenMetadata() does nothing for ${name}, which takes the name of the file`, t => {
    const file = openNew(t)
    assert.equal(setOpenMetadata(ANYBODY, file, metadata), false)
    assert.equal(fstatSync(file).mode & 0o7777, 0o600)
  })
}

test('setOpenMetadata() does nothing for an owner that has no id in the user namespace', t => {
  const file = openNew(t)
  const idMaps = {
    uids: [{ inside: 0, outside: 1000, count: 1 }],
    gids: [{ inside: 0, outside: 1000, count: 1 }],
  }
  assert.equal(setOpenMetadata({ idMaps }, file, { ...PLAIN, uid: 5000 }), false)
  assert.equal(fstatSync(file).mode & 0o7777, 0o600)
})

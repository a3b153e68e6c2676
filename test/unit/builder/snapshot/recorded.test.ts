import assert from 'node:assert/strict'
import { type BigIntStats, closeSync, constants, lstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isLayerXattr, metadataOf, setMetadata } from '../../../../src/builder/snapshot/node-metadata.ts'
import { ownerOf, recordedDevice } from '../../../../src/builder/snapshot/recorded.ts'
import { upperFile } from '../../../../src/builder/snapshot/upper-file.ts'
import { parseIDMap } from '../../../../src/linux/id-map.ts'
import { type Linux, loadLinux } from '../../../../src/linux/linux.ts'
import { readXattrs } from '../../../../src/linux/xattrs.ts'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'

const needsRoot = process.getuid?.() === 0 ? false : 'it gives files to root: run as root'

function xattrs(values: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(values).map(([name, value]) => [`user.slipway.${name}`, Buffer.from(value)]))
}

/** What a system call tells of a file that belongs to somebody. */
function owned(uid: number, gid: number): BigIntStats {
  return Object.assign(lstatSync('/', { bigint: true }), { uid: BigInt(uid), gid: BigInt(gid) })
}

/** A file, and a Linux that knows root alone. */
async function fileOfOneID(t: TestContext): Promise<{ linux: Linux; directory: number; path: Buffer }> {
  const map = parseIDMap('0 1000 1\n')
  const linux = { ...(await loadLinux()), idMaps: { uids: map, gids: map } }
  const folder = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  closeSync(openSync(join(folder, 'file'), 'w'))
  const directory = openSync(folder, constants.O_DIRECTORY)
  t.after(() => {
    closeSync(directory)
    rmSync(folder, { recursive: true })
  })
  return { linux, directory, path: Buffer.from(join(folder, 'file')) }
}

test('ownerOf() believes what is recorded until the file is given to somebody', () => {
  const recorded = xattrs({ owner: '1000:1001' })
  assert.deepEqual(ownerOf(owned(0, 0), recorded), { uid: 1000, gid: 1001 })
  assert.deepEqual(ownerOf(owned(5, 0), recorded), { uid: 5, gid: 0 })
  assert.deepEqual(ownerOf(owned(0, 7), recorded), { uid: 0, gid: 7 })
})

test('what is recorded in another form is not believed', () => {
  for (const owner of ['', '1000', '-1:0', '1e3:0', '0x1:0', '99999999999:0', '1:2\n'])
    assert.deepEqual(ownerOf(owned(0, 0), xattrs({ owner })), { uid: 0, gid: 0 }, owner)
  for (const device of ['', 'character', 'fifo 1:3', 'character 1:3:4', 'block -1:0'])
    assert.equal(recordedDevice(xattrs({ device })), undefined, device)
})

test('a layer neither brings nor takes along what we or overlayfs record', () => {
  const names = [
    'user.slipway.owner',
    'user.slipway.device',
    'user.overlay.opaque',
    'trusted.overlay.redirect',
  ]
  assert.deepEqual(names.filter(isLayerXattr), [])
  assert.deepEqual(['user.mime', 'security.capability', 'trusted.x'].filter(isLayerXattr).length, 3)
})

test('root of the machine, who records nothing, believes nothing', { skip: needsRoot }, async t => {
  const { linux, path } = await fileOfOneID(t)
  linux.lsetxattr(path, 'user.slipway.owner', Buffer.from('1000:1001'))
  linux.lsetxattr(path, 'user.slipway.device', Buffer.from('block 8:0'))
  const stats = lstatSync(path, { bigint: true })
  const machine = { ...linux, idMaps: undefined }
  for (const [where, type, uid] of [
    [linux, 'block', 1000],
    [machine, 'file', 0],
  ] as const) {
    const { entry } = upperFile(where, path, byteStringOf('file'), stats)
    assert.deepEqual([entry.type, entry.uid], [type, uid])
    const found = metadataOf(where, { path, stats }, readXattrs(linux, path))
    assert.deepEqual([found.device !== undefined, found.uid], [type === 'block', uid])
  }
})

test('setMetadata() records an owner who has no id here, and a device, and metadataOf() finds them', {
  skip: needsRoot,
}, async t => {
  const { linux, directory, path } = await fileOfOneID(t)
  const device = { type: 'block', major: 300, minor: 70_000 } as const
  const metadata = {
    type: 'other',
    mode: 0o4755,
    uid: 1000,
    gid: 0,
    time: { seconds: 5, nanoseconds: 0 },
    xattrs: new Map([['user.slipway.owner', Buffer.from('9:9')]]),
    device,
  } as const
  setMetadata(linux, directory, Buffer.from('file'), metadata)
  const stats = lstatSync(path, { bigint: true })
  assert.deepEqual([stats.uid, stats.gid, stats.mode & 0o7777n], [0n, 0n, 0o4755n])
  const found = metadataOf(linux, { path, stats }, readXattrs(linux, path))
  assert.deepEqual({ ...found, xattrs: undefined }, { ...metadata, xattrs: undefined })
})

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { resolveOwner, resolveUser } from '../../../../src/builder/ops/users.ts'
import { Bench, type EntryOf } from './fixture.ts'

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# comment
app:x:1000:1001:App:/home/app:/bin/sh
1234:x:5:6::/five:
nohome:x:8:9

bad:x:abc:1::/:
huge:x:99999999999:1::/:
`
const GROUP = 'root:x:0:\napp:x:1001:\nweb:x:33:app, root\nadm:x:4:app\n7:x:70:\n'

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})
afterEach(() => bench.dispose())

const tree = async (entries: Readonly<Record<string, EntryOf>>) => bench.tree(await bench.root(entries))
const usual = () => tree({ 'etc/passwd': { content: PASSWD }, 'etc/group': { content: GROUP } })

describe('resolveUser()', () => {
  const cases: readonly (readonly [text: string, uid: number, gid: number, groups: readonly number[]])[] = [
    ['', 0, 0, [0]],
    ['root', 0, 0, [0, 33]],
    ['0', 0, 0, [0, 33]],
    ['app', 1000, 1001, [1001, 33, 4]],
    ['1000', 1000, 1001, [1001, 33, 4]],
    ['app:web', 1000, 33, [33]],
    ['app:44', 1000, 44, [44]],
    ['1000:1000', 1000, 1000, [1000]],
    ['4242', 4242, 0, [0]],
    ['4242:7', 4242, 70, [70]],
    ['1234', 5, 6, [6]],
    ['nohome', 8, 9, [9]],
  ]
  for (const [text, uid, gid, additionalGids] of cases) {
    it(`semantics 62: "${text}" runs as ${uid}:${gid} with groups ${additionalGids}`, async () => {
      assert.deepEqual(await resolveUser(await usual(), text), { uid, gid, additionalGids })
    })
  }

  for (const text of ['nobody', 'app:nogroup', 'bad', 'huge', 'App', ' app', '99999999999']) {
    it(`refuses "${text}"`, async () => {
      await assert.rejects(resolveUser(await usual(), text), { code: 'user-unknown' })
    })
  }

  it('takes numbers in an image without any files', async () => {
    const empty = bench.tree({ chainID: undefined, layers: [] })
    assert.deepEqual(await resolveUser(empty, '5:6'), { uid: 5, gid: 6, additionalGids: [6] })
    assert.deepEqual(await resolveUser(empty, ''), { uid: 0, gid: 0, additionalGids: [0] })
    await assert.rejects(resolveUser(empty, 'root'), { code: 'user-unknown' })
  })

  it('reads nothing of the image for the empty user', async () => {
    const refuse = (): never => assert.fail('read')
    const untouched = { stat: refuse, list: refuse, digest: refuse, open: refuse, prepare: refuse }
    assert.deepEqual(await resolveUser(untouched, ''), { uid: 0, gid: 0, additionalGids: [0] })
  })

  it('follows a symlinked passwd inside the image, and none that leads in circles', async () => {
    const linked = await tree({
      'etc/passwd': { link: '/../../usr/passwd' },
      'usr/passwd': { content: 'x:x:3:4::/x:' },
    })
    assert.equal((await resolveUser(linked, 'x')).uid, 3)
    const circle = await tree({ 'etc/passwd': { link: 'passwd' } })
    await assert.rejects(resolveUser(circle, 'x'), { code: 'user-unknown' })
    const directory = await tree({ 'etc/passwd/': {} })
    await assert.rejects(resolveUser(directory, 'x'), { code: 'user-unknown' })
  })

  it('refuses a file out of bounds, and skips lines that are', async () => {
    const huge = await tree({ 'etc/passwd': { content: `${'x'.repeat(1_000_000)}:\napp:x:1:2::/:\n` } })
    assert.equal((await resolveUser(huge, 'app')).uid, 1)
    const beyond = await tree({ 'etc/passwd': { content: 'app:x:1:2::/:\n'.repeat(700_000) } })
    await assert.rejects(resolveUser(beyond, 'app'), { code: 'user-unknown', message: /bytes/ })
  })
})

describe('resolveOwner()', () => {
  const cases: readonly (readonly [text: string, uid: number, gid: number, unknown: readonly string[]])[] = [
    ['app', 1000, 1001, []],
    ['app:', 1000, 0, []],
    ['app:ghosts', 1000, 1001, ['ghosts']],
    ['5:', 5, 0, []],
    ['5:ghosts', 5, 5, ['ghosts']],
    ['app:web', 1000, 33, []],
    ['app:5', 1000, 5, []],
    ['5', 5, 5, []],
    ['1000', 1000, 1000, []],
    ['5:web', 5, 33, []],
    [':web', 0, 33, []],
    ['', 0, 0, []],
    ['ghost', 0, 0, ['ghost']],
    ['ghost:ghosts', 0, 0, ['ghost', 'ghosts']],
    ['1234', 1234, 1234, []],
  ]
  for (const [text, uid, gid, unknown] of cases) {
    it(`semantics 45: "${text}" is ${uid}:${gid}`, async () => {
      const opened = await usual()
      assert.deepEqual(await resolveOwner(async () => opened, text), { uid, gid, unknown })
    })
  }

  it('does not look at the image for numbers', async () => {
    const open = () => assert.fail('opened')
    assert.deepEqual(await resolveOwner(open, '5:6'), { uid: 5, gid: 6, unknown: [] })
  })

  it('takes numbers that nobody can have for names that nobody has', async () => {
    const open = usual
    const unknown = '123456789012345678901234567890'
    assert.deepEqual(await resolveOwner(open, '4294967295'), { uid: 0, gid: 0, unknown: ['4294967295'] })
    assert.deepEqual(await resolveOwner(open, `1:${unknown}`), { uid: 1, gid: 1, unknown: [unknown] })
  })
})

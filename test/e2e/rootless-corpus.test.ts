/**
 * Every Dockerfile of fixtures/dockerfile that makes an image is built by root and by an ordinary user with subordinate
 * ids, each from a copy of the context of his own: the images must have one digest.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readCases } from './support/cases.ts'
import type { OrdinaryUser } from './support/ordinary-user.ts'
import type { Outcome } from './support/process.ts'
import { createRootlessWorld, type RootlessWorld } from './support/rootless.ts'
import type { Slipway } from './support/slipway.ts'
import { cannotRun } from './support/world.ts'

const EPOCH = { SOURCE_DATE_EPOCH: '1600000000' }

/** What the kernel gives to no user namespace, and what the user is told then. */
const REFUSED: ReadonlyMap<string, RegExp> = new Map([
  ['044-copied-from-stage', /hint: .*device nodes without root/],
  ['093-devices-and-pipes', /hint: .*device nodes without root/],
  ['093-run-special-files', /hint: .*device nodes without root/],
  ['091-large-ids', /hint: .*\/etc\/subuid/],
  ['092-run-changes-metadata', /hint: .*\/etc\/subuid/],
])

/** Steps that write down what they see or what chance gives them. */
const DIFFERENT: ReadonlyMap<string, string> = new Map([
  ['063-run-surroundings', 'it writes down whose /dev/null is: nobody has it in a user namespace'],
  ['102-stages-same-run', 'it writes down random bytes'],
])

const cases = readCases().filter(({ kind }) => kind === 'image' || kind === 'expected')

describe('an ordinary user builds the image of root', {
  skip: cannotRun({
    root: true,
    programs: ['runc', 'newuidmap', 'useradd', 'setpriv', 'setcap', 'setfattr'],
  }),
  concurrency: 3,
}, () => {
  let world: RootlessWorld
  let scratch: string
  let root: Slipway
  let user: OrdinaryUser
  let same = 0

  before(async () => {
    world = await createRootlessWorld()
    ;({ scratch, root } = world)
    user = await world.addUser({ subordinateIDs: true })
  })

  after(async () => {
    await world?.[Symbol.asyncDispose]()
    console.log(`${same} of ${cases.length} images have the digest of root's`)
  })

  it('knows the cases that it makes exceptions for', () => {
    const names = new Set(cases.map(({ name }) => name))
    for (const name of [...REFUSED.keys(), ...DIFFERENT.keys()]) assert.ok(names.has(name), name)
  })

  for (const { name, options, prepare } of cases)
    it(name, async () => {
      const context = join(scratch, name)
      const copy = join(user.home, name)
      await prepare(context)
      await user.copy(context, copy)
      const args = ['build', '--network=host', '--progress=plain', ...options]
      const [ofRoot, ofUser] = await Promise.all([
        root.try([...args, context], { cwd: context, env: EPOCH }),
        user.slipway([...args, copy], { cwd: copy, env: EPOCH }),
      ])
      const hint = REFUSED.get(name)
      if (hint !== undefined) {
        assert.equal(ofUser.code, 1, ofUser.stderr)
        assert.match(ofUser.stderr, hint)
        return
      }
      const [his, theirs] = [digestOf(ofUser), digestOf(ofRoot)]
      if (DIFFERENT.has(name)) return
      assert.equal(his, theirs)
      same++
    })
})

function digestOf({ code, stdout, stderr }: Outcome): string {
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  const [, digest] = /^digest +(sha256:[0-9a-f]{64})$/m.exec(stderr) ?? []
  assert.ok(digest !== undefined, stderr)
  return digest
}

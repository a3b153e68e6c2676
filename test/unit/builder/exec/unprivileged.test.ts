import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerProcess } from '../../../../src/builder/exec/executor.ts'
import { NO_LIMITS } from '../../../../src/builder/exec/limits.ts'
import { privilegeHint, requirePossible } from '../../../../src/builder/exec/unprivileged.ts'
import { type IDMaps, parseIDMap } from '../../../../src/linux/id-map.ts'

const ONE = maps('0 1000 1\n')
const MANY = maps('0 1000 1\n1 100000 65536\n')

function maps(text: string): IDMaps {
  return { uids: parseIDMap(text), gids: parseIDMap(text) }
}

function processOf(uid: number, gid = 0, additionalGids: readonly number[] = []): ContainerProcess {
  return {
    args: ['true'],
    env: [],
    cwd: '/',
    user: { uid, gid, additionalGids },
    hostname: 'h',
    network: 'default',
    extraHosts: [],
    mounts: [],
    limits: NO_LIMITS,
    isPrivileged: false,
  }
}

test('requirePossible() lets a step be whoever is in the namespace, and for root anybody', () => {
  requirePossible(processOf(0), ONE)
  requirePossible(processOf(65_536, 1, [2, 3]), MANY)
  requirePossible(processOf(1_000_000), undefined)
})

test('requirePossible() refuses users and groups that are not, and says which there are', () => {
  assert.throws(() => requirePossible(processOf(1000), ONE), {
    code: 'privilege-missing',
    message: 'Cannot run a step with user 1000: without root, this build knows no id but 0',
    hint: /uidmap.*subuid/,
  })
  assert.throws(() => requirePossible(processOf(65_537), MANY), /user 65537: .* the ids 0-65536/)
  assert.throws(() => requirePossible(processOf(0, 0, [70_000]), MANY), /group 70000/)
})

test('requirePossible() refuses a secret for somebody who is not in the namespace', () => {
  const content = Buffer.from('')
  const secret = { kind: 'file', target: '/s', readOnly: true, content, mode: 0o400, uid: 7, gid: 0 } as const
  assert.throws(() => requirePossible({ ...processOf(0), mounts: [secret] }, ONE), /user 7/)
})

test('privilegeHint() tells what root in a user namespace may not, and nothing of other failures', () => {
  const chown = 'chown: changing ownership of "x": Invalid argument'
  assert.match(privilegeHint([chown], ONE) ?? '', /no id but 0.*uidmap/)
  assert.match(
    privilegeHint(['E: setgroups 65534 failed - (1: Operation not permitted)'], ONE) ?? '',
    /uidmap/,
  )
  assert.match(privilegeHint(['mknod: /x: Operation not permitted'], MANY) ?? '', /build as root/)
  assert.equal(privilegeHint([chown], undefined), undefined)
  assert.equal(privilegeHint(['tar: invalid argument', 'chown'], MANY), undefined)
})

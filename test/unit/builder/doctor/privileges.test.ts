import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPrivileges, type Privileges } from '../../../../src/builder/doctor/privileges.ts'

const IDS = { uids: [{ start: 100_000, count: 65_536 }], gids: [{ start: 100_000, count: 65_536 }] }
const NO_IDS = { uids: [], gids: [] }
const anna: Privileges = {
  uid: 1000,
  userName: 'anna',
  namespace: 'entered',
  subordinate: IDS,
  freeID: 165_536,
}

test('checkPrivileges() wants no namespace of root', () => {
  const [user, ...rest] = checkPrivileges({ ...anna, uid: 0, namespace: 'none' })
  assert.deepEqual([user?.state, rest.length], ['good', 0])
})

test('checkPrivileges() is content with a user who has a namespace and ids for it', () => {
  assert.deepEqual(
    checkPrivileges(anna).map(({ subject, state, found }) => [subject, state, found]),
    [
      ['user namespace', 'good', 'user 1000 may have one'],
      ['subordinate ids', 'good', '65536 users and 65536 groups'],
    ],
  )
})

const REFUSALS = [
  {
    problem: 'Operation not permitted (/proc/sys/kernel/unprivileged_userns_clone is 0)',
    remedy: 'sysctl -w kernel.unprivileged_userns_clone=1',
  },
  {
    problem: 'No space left on device (/proc/sys/user/max_user_namespaces is 0)',
    remedy: 'sysctl -w user.max_user_namespaces=15000',
  },
  {
    problem: 'Permission denied (/proc/sys/kernel/apparmor_restrict_unprivileged_userns is 1)',
    remedy: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
  { problem: 'nsenter (package util-linux) is not installed', remedy: 'apt-get install util-linux' },
  {
    problem: 'unshare failed: Operation not permitted',
    remedy: 'in a container, allow it: --security-opt seccomp=unconfined (Kubernetes: hostUsers: false)',
  },
]

for (const { problem, remedy } of REFUSALS)
  test(`checkPrivileges() names what mends "${problem}"`, () => {
    const [finding, ...rest] = checkPrivileges({ ...anna, namespace: 'refused', problem })
    assert.deepEqual([finding?.state, finding?.remedy, rest.length], ['missing', remedy, 0])
    assert.match(finding?.found ?? '', /may have none/)
  })

test('checkPrivileges() tells how a user gets subordinate ids that nobody else has', () => {
  const problem = 'this user has no line in /etc/subuid'
  const ids = checkPrivileges({ ...anna, problem, subordinate: NO_IDS })[1]
  assert.deepEqual(
    [ids?.state, ids?.remedy],
    ['limited', 'usermod --add-subuids 165536-231071 --add-subgids 165536-231071 anna'],
  )
})

test('checkPrivileges() wants a name for who has a number alone', () => {
  const { userName: _, ...nobody } = anna
  const problem = 'this user has no line in /etc/subuid'
  const ids = checkPrivileges({ ...nobody, problem, subordinate: NO_IDS })[1]
  assert.equal(ids?.remedy, 'useradd --uid 1000 NAME')
})

test('checkPrivileges() names the package when the ids are there and its programs are not', () => {
  const problem = 'newuidmap (package uidmap) is not installed'
  assert.equal(checkPrivileges({ ...anna, problem })[1]?.remedy, 'apt-get install uidmap')
})

test('checkPrivileges() gives newuidmap file capabilities where set-uid root is not enough', () => {
  const problem = 'newuidmap: write to uid_map failed: Operation not permitted'
  assert.match(checkPrivileges({ ...anna, problem })[1]?.remedy ?? '', /setcap cap_setuid=ep/)
})

test('checkPrivileges() finds too few ids for images with users of high numbers', () => {
  const ids = checkPrivileges({ ...anna, subordinate: { ...IDS, gids: [{ start: 1, count: 10 }] } })[1]
  assert.deepEqual([ids?.state, ids?.found], ['limited', '65536 users and 10 groups'])
})

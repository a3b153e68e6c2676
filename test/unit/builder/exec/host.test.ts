import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isProcCovered } from '../../../../src/builder/exec/host.ts'

const PROC = '22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw\n'

test('isProcCovered() sees what an engine mounts over files of /proc', () => {
  assert.equal(isProcCovered(`${PROC}40 22 0:5 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw\n`), true)
  assert.equal(isProcCovered(`${PROC}41 22 0:21 /sys /proc/sys ro,nosuid - proc proc rw\n`), true)
})

test('isProcCovered() takes no offence at what systemd mounts where nothing can lie', () => {
  const binfmt = '30 22 0:27 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw\n'
  assert.equal(isProcCovered(PROC + binfmt), false)
})

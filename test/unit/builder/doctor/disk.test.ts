import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { checkDisk } from '../../../../src/builder/doctor/disk.ts'

const ROWS = [
  { what: 'much room', space: { bavail: 1e7, bsize: 4096, ffree: 1e6, files: 1e7 }, state: 'good' },
  {
    what: 'a disk that tells of no inodes',
    space: { bavail: 1e7, bsize: 4096, ffree: 0, files: 0 },
    state: 'good',
  },
  { what: 'few bytes', space: { bavail: 1e5, bsize: 4096, ffree: 1e6, files: 1e7 }, state: 'limited' },
  { what: 'few inodes', space: { bavail: 1e7, bsize: 4096, ffree: 100, files: 1e7 }, state: 'limited' },
]

for (const { what, space, state } of ROWS)
  test(`checkDisk() finds ${what} ${state}`, () => {
    const finding = checkDisk('/store', space)
    assert.equal(finding.state, state)
    assert.equal(finding.remedy !== undefined, state === 'limited')
    assert.equal(finding.found.includes('for 100 files at most'), what === 'few inodes')
  })

test('checkDisk() asks the disk of the store', () => {
  assert.match(checkDisk(tmpdir()).found, /^[\d.]+ GB free at /)
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { probeProgram } from '../../../../src/builder/exec/probe-program.ts'

test('probeProgram() is a program that exits with 0', () => {
  const program = probeProgram(arch())
  assert.ok(program)
  const directory = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  writeFileSync(join(directory, 'probe'), program, { mode: 0o755 })
  const { status, error } = spawnSync(join(directory, 'probe'))
  rmSync(directory, { recursive: true })
  assert.deepEqual({ status, error }, { status: 0, error: undefined })
})

test('probeProgram() of an unknown machine is none', () => {
  assert.equal(probeProgram('mips'), undefined)
})
